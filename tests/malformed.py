"""Records that are of no use, of every kind that was met, made from good ones.

`conversations(home, count)` writes pictures and gives lines of a .jsonl: some good,
most not. Each bad one is a function of its number, so no two are the same.
"""

import io
import json
import random
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

HUGE = 1_000_001  # characters


def png(number, size=(32, 32)):
    draw = np.random.default_rng(number)
    file = io.BytesIO()
    Image.fromarray(draw.integers(0, 256, (*size, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def bomb(width, height):
    """A PNG of a few bytes that says to be so large."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixels + chunk(b"IEND", b"")


def good(number):
    return {
        "id": str(number),
        "image": f"good_{number % 7}.png",
        "conversations": [
            {"from": "human", "value": "<image>\nwhat is it?"},
            {"from": "gpt", "value": f"good {number}"},
        ],
    }


def _picture(data):
    """A good record with a damaged picture."""

    def make(home, number):
        name = f"bad_{number}.png"
        made = data(number)
        if made is not None:
            (home / name).write_bytes(made)
        return good(number) | {"image": name}

    return make


def _record(change):
    """A good record, changed."""

    def make(home, number):
        record = good(number)
        return change(record, number) or record

    return make


def _line(spell):
    """A line that is no record."""
    return lambda home, number: spell(json.dumps(good(number)).encode(), number)


def _said(text):
    def change(record, number):
        record["conversations"][1]["value"] = text(number)

    return _record(change)


def _turns(turns):
    return _record(lambda record, number: record | {"conversations": turns(number)})


def _animation(number):
    file = io.BytesIO()
    frames = [Image.new("L", (2, 2), i % 256) for i in range(1001 + number % 3)]
    # Equal neighbours would be merged.
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


PICTURES = {
    "missing": lambda n: None,
    "empty": lambda n: b"",
    "cut": lambda n: png(n)[: -80 - n % 200],
    "cut in its header": lambda n: png(n)[: 8 + n % 20],
    "text": lambda n: b"no picture %d" % n,
    "html": lambda n: b"<html><body>404 %d</body></html>" % n,
    "pickle": lambda n: b"\x80\x04\x95" + bytes(n % 50),
    "bomb": lambda n: bomb(60_000, 60_000 + n),
    "bomb below Pillow's warning": lambda n: bomb(9_000, 9_000 + n),
    "of no width": lambda n: bomb(0, 10 + n),
    "of no pixels": lambda n: bomb(64, 64 + n),
    "a thread": lambda n: png(n, (1, 300 + n % 50)),
    "too many frames": _animation,
    "svg": lambda n: b'<svg xmlns="http://www.w3.org/2000/svg"/>%d' % n,
    "a checksum flipped": lambda n: png(n)[:30] + b"\xff" + png(n)[31:],
}
RECORDS = {
    "no conversation": _record(lambda r, n: {"id": str(n)}),
    "no turns": _turns(lambda n: []),
    "turns of numbers": _turns(lambda n: [1, n]),
    "turns of nothing": _turns(lambda n: [{}, {"n": n}]),
    "nobody answers": _turns(lambda n: [{"from": "human", "value": f"<image> {n}"}]),
    "an answer alone is none": _turns(
        lambda n: [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": " "}]
    ),
    "a stranger": _turns(lambda n: [{"from": f"robot {n}", "value": "<image>"}]),
    "a value of no text": _turns(
        lambda n: [{"from": "human", "value": n}, {"from": "gpt", "value": None}]
    ),
    "no mark": _turns(
        lambda n: [{"from": "human", "value": "what?"}, {"from": "gpt", "value": "x"}]
    ),
    "marks of two": _turns(
        lambda n: [
            {"from": "human", "value": f"<image><image> {n}"},
            {"from": "gpt", "value": "x"},
        ]
    ),
    "a name of no text": _record(lambda r, n: r | {"image": n}),
    "a name of a folder": _record(lambda r, n: r | {"image": "."}),
    "a name with a zero": _record(lambda r, n: r | {"image": f"a\0{n}.png"}),
    "a very long name": _record(lambda r, n: r | {"image": "a" * (5000 + n)}),
    "an empty name": _record(lambda r, n: r | {"image": ""}),
    "a list in a list": _record(lambda r, n: r | {"image": [[f"{n}.png"]]}),
    "an answer that does not fit": _said(lambda n: f"word{n} " * 2000),
    "an answer of a million": _said(lambda n: "x" * (HUGE + n)),
    "half a pair": _said(lambda n: f"\ud800 {n}"),
}
LINES = {
    "cut": _line(lambda line, n: line[: 10 + n % (len(line) - 20)]),
    "no UTF-8": _line(lambda line, n: line.replace(b"what", b"\xff\xfe%d" % n)),
    "a list": _line(lambda line, n: b"[%d]" % n),
    "a number": _line(lambda line, n: b"%d" % n),
    "two objects": _line(lambda line, n: line + line),
    "deep": _line(lambda line, n: b"[" * (100_000 + n)),
    "zeros": _line(lambda line, n: b"\0" * (20 + n)),
    "NaN alone": _line(lambda line, n: b"NaN" + b" " * n),
}


def kinds():
    """name -> (home, number) -> bytes of a line, or a record."""
    pictures = {f"picture: {k}": _picture(v) for k, v in PICTURES.items()}
    records = {f"record: {k}": v for k, v in RECORDS.items()}
    return pictures | records | {f"line: {k}": v for k, v in LINES.items()}


def conversations(home: Path, goods: int, bads: int):
    """(lines, numbers of the good ones): shuffled together."""
    for number in range(7):
        (home / f"good_{number}.png").write_bytes(png(number, (32, 16 * (1 + number))))
    makers = list(kinds().items())
    lines = [(json.dumps(good(number)).encode(), number) for number in range(goods)]
    for number in range(bads):
        name, make = makers[number % len(makers)]
        made = make(home, goods + number)
        line = made if isinstance(made, bytes) else json.dumps(made).encode()
        lines.append((line, name))
    random.Random(0).shuffle(lines)
    return lines
