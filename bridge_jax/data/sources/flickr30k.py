"""Flickr30K's captions, and Flickr8K's, as they were published and are passed on.

    1000092795.jpg#0<TAB>Two young guys ...             results_20130124.token
    image_name| comment_number| comment                 results.csv
    image,caption                                       captions.txt: name the kind

A record is an image with its captions in their order: {"image": "1000092795.jpg",
"captions": [...]}. One line of the published results.csv lacks a bar (that of
2199200615.jpg, number 4), and is understood. The file is read whole when it is opened;
in memory stays what records hold, as JSON.
"""

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.faults import Faults
from bridge_jax.data.sources import bytes_of, packed

_IMAGE = ("image_name", "image", "filename", "file_name")
_CAPTION = ("comment", "caption")
_NO_BAR = re.compile(r"\d+\s+(\S.*)")


class Source:
    """See the module's text.

    Raises:
      BridgeError: it is no such file, or all lines that are none of it.
    """

    def __init__(self, path: str):
        self._path, found = path, Faults()
        text = bytes_of.text(bytes(bytes_of.opened(path).whole()), path)
        images: dict[str, dict[str, Any]] = {}
        for number, name, caption in _rows(text.removeprefix("\ufeff"), path, found):
            image = images.setdefault(
                name, {"line": number, "image": name, "captions": []}
            )
            image["captions"].append(caption)
        found.stop()
        self._records = packed.Records(images.values())

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        record = self._records[index]
        where = f"{self._path}:{record.pop('line')}"
        empty = [i for i, one in enumerate(record["captions"]) if not one]
        if empty:
            raise BridgeError(
                f"{where}: {record['image']}: caption {empty[0]} says nothing"
            )
        return where, record


def _rows(text: str, path: str, found: Faults) -> Iterator[tuple[int, str, str]]:
    """(line, name of the image, caption) of each line."""
    head = text.split("\n", 1)[0]
    if "\t" in head:
        rows = _tabbed
    elif head.count("|") == 2:
        rows = _barred
    else:
        rows = _listed
    yield from rows(text, path, found)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line.rstrip("\r")


def _tabbed(text: str, path: str, found: Faults) -> Iterator[tuple[int, str, str]]:
    for number, line in _lines(text):
        named, tab, caption = line.partition("\t")
        name, mark, _ = named.rpartition("#")
        if tab and mark and name:
            yield number, name, caption.strip()
        else:
            found.add(f"{path}:{number}", "is not NAME#NUMBER<TAB>CAPTION")


def _barred(text: str, path: str, found: Faults) -> Iterator[tuple[int, str, str]]:
    for number, line in _lines(text):
        parts = [part.strip() for part in line.split("|", 2)]
        if len(parts) == 2 and (rest := _NO_BAR.fullmatch(parts[1])):
            parts = [parts[0], "", rest[1]]
        if len(parts) != 3 or not parts[0]:
            found.add(f"{path}:{number}", "is not NAME| NUMBER| CAPTION")
        elif number > 1:  # the names of the columns
            yield number, parts[0], parts[2]


def _listed(text: str, path: str, found: Faults) -> Iterator[tuple[int, str, str]]:
    rows = csv.reader(io.StringIO(text, ""), strict=True)
    try:
        head = [name.strip() for name in next(rows, [])]
        image = next((head.index(name) for name in _IMAGE if name in head), None)
        caption = next((head.index(name) for name in _CAPTION if name in head), None)
        if image is None or caption is None:
            found.add(path, "is no list of captions of Flickr30K's kind")
            return
        for row in rows:
            if len(row) == len(head) and row[image]:
                yield rows.line_num, row[image].strip(), row[caption].strip()
            elif row:
                found.add(f"{path}:{rows.line_num}", f"has not {len(head)} columns")
    except csv.Error as error:
        found.add(f"{path}:{rows.line_num}", f"is no CSV ({error})")
