"""The rows of a ring and who sits in them: the device's side of live answers.

One thread at a time. R rows of one ring, whatever their settings: two programs are all
that is compiled, one of them once for each length of prompts.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from bridge_jax.core.types import Params
from bridge_jax.inference import batching, decode, ring
from bridge_jax.inference.choosing import Choice
from bridge_jax.inference.engine import Engine

STEPS = 4  # tokens between two looks: few, since someone reads along


@dataclasses.dataclass(frozen=True)
class Guest:
    """What is to be answered, how, and which random numbers it draws."""

    conversation: decode.Conversation
    choice: Choice
    number: int


@dataclasses.dataclass(frozen=True)
class Said:
    """What a row has written since the last look.

    Attributes:
      tokens: int32 [n], without the one that ended the answer.
      told: own, top and tops [n, ...], see `choosing.told`; nothing if no row asks.
      done: whether it writes no more.
      stopped: whether a token ended the answer, and not its length.
    """

    tokens: np.ndarray
    told: Mapping[str, np.ndarray]
    done: bool
    stopped: bool


class Seats:
    """R rows, at least `rows`, each with room for `context` tokens."""

    def __init__(self, engine: Engine, params: Params, rows: int, context: int):
        self._engine, self._params = engine, params
        self._rows = batching.length_bucket(rows, engine.parts)
        self._slots = batching.length_bucket(context)
        self._stops, shared = decode.common(engine, Choice())
        self._shared = {"stops": shared["stops"]}
        self.clear()

    def clear(self) -> None:
        """Nobody sits anywhere, and nothing is left of a step that failed."""
        self._guests: dict[int, Guest] = {}
        self._read = np.zeros(self._rows, np.int32)  # tokens of each row
        self._state = ring.empty(
            self._engine, self._rows, self._slots, 2 * STEPS, greedy=False, told=True
        )

    @property
    def free(self) -> list[int]:
        return [row for row in range(self._rows) if row not in self._guests]

    def seat(self, guests: Sequence[Guest]) -> list[int]:
        """Rows for guests, of whom there are no more than free rows.

        As many prompts are read at a time as devices share a batch.
        """
        free = self.free
        parts = self._engine.parts
        for start in range(0, len(guests), parts):
            self._begin(guests[start : start + parts], free[start : start + parts])
        return free[: len(guests)]

    def advance(self) -> dict[int, Said]:
        """A few more tokens, and what each row that is taken has said."""
        engine, state = self._engine, self._state
        self._state = state = engine.advance(
            ring.advance, self._params, state, self._shared, steps=STEPS
        )
        wanted = any(g.choice.logprobs is not None for g in self._guests.values())
        names = list(state["written"]) if wanted else ["tokens"]
        done, turn, written = jax.device_get(
            (state["done"], state["turn"], {n: state["written"][n] for n in names})
        )
        found = {}
        for row in self._guests:
            turns = np.arange(self._read[row], turn[row])
            new = {
                name: one[row, turns % one.shape[1]] for name, one in written.items()
            }
            tokens = new.pop("tokens")
            stopped = bool(len(tokens)) and int(tokens[-1]) in self._stops
            found[row] = Said(
                tokens[: -1 if stopped else None], new, done[row], stopped
            )
        self._read = turn
        return found

    def leave(self, rows: Sequence[int]) -> None:
        """These rows are free, whether or not they have done."""
        done = np.array(self._state["done"])
        done[list(rows)] = True
        self._state = self._state | {"done": done}
        for row in rows:
            del self._guests[row]

    def _begin(self, guests: Sequence[Guest], rows: Sequence[int]) -> None:
        filled = [*guests, *[guests[0]] * (self._engine.parts - len(guests))]
        longest = max(len(one.conversation.row.tokens) for one in guests)
        new = ring.newcomers(
            self._engine,
            [one.conversation for one in filled],
            [one.choice for one in filled],
            np.asarray([one.number for one in filled], np.uint32),
            greedy=False,
            length=min(batching.power_bucket(longest, batching.TOKENS), self._slots),
        )
        places = np.full(len(filled), self._rows, np.int32)
        places[: len(guests)] = rows[: len(guests)]
        batch = {"state": self._state, "new": new | {"rows": places}}
        self._state = self._engine.advance(
            ring.begin, self._params, batch, self._shared
        )
        for row, guest in zip(rows, guests, strict=False):
            self._guests[row] = guest
        self._read = np.array(self._read)
        self._read[places[: len(guests)]] = 0
