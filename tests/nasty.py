"""Texts full of control tokens: whole, nested, cut, doubled and in other spellings."""

import random

FULL_WIDTH = str.maketrans("<>/[]|", "＜＞／［］｜")


def texts(added: list[str], count: int) -> list[str]:
    """`count` strings, every name of `added` among them."""
    rng = random.Random(7)
    letters = [
        *"abz09 .,<>|/[]_\n\t",
        "é",
        "e\u0301",
        "星",
        "🙂",
        "\u200d",
        "\ufeff",
        "▁",
    ]
    made = []
    for i in range(count):
        parts = [added[i % len(added)]]
        for _ in range(rng.randrange(5)):
            token = rng.choice(added)
            cut = rng.randrange(len(token) + 1)
            parts.append(
                rng.choice(
                    [
                        token,
                        token[:cut] + rng.choice(added) + token[cut:],
                        token.upper(),
                        token.translate(FULL_WIDTH),
                        rng.choice(letters) * rng.randrange(4),
                    ]
                )
            )
        rng.shuffle(parts)
        made.append("".join(parts))
    return made
