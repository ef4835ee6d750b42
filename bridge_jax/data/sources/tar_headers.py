"""Where the files of a tar lie, by its headers; nothing is unpacked or created.

Plain, POSIX (pax) and GNU headers. A name is a text and no more: nothing is ever opened
by it, wherever it leads. Links, devices and folders are passed over; so are sparse
files, whose bytes are not in one piece. An own walk, since tarfile takes a damaged
header for the end, and follows sizes below zero.
"""

import dataclasses
from collections.abc import Callable, Iterator

from bridge_jax.core.errors import BridgeError

BLOCK = 512
_LONGEST = 1 << 20  # bytes of a name: more is no name
_REGULAR = (b"0", b"\0", b"7")
_EMPTY = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders
_PADDING = 1 << 16  # bytes after the end, at the most
_ZEROS = bytes(BLOCK)


@dataclasses.dataclass(frozen=True)
class Member:
    """A regular file: its name, its bytes from `start` on, and whether it is sparse."""

    name: str
    start: int
    size: int
    sparse: bool = False


@dataclasses.dataclass(frozen=True)
class End:
    """How a tar ends.

    Attributes:
      at: the byte after the last member that is whole.
      cut: what is missing, in words; "" of a tar that ends as it should.
      name: of the member that is cut short, where its header is whole.
      more: something follows the mark of its end, as where two were joined.
    """

    at: int
    cut: str = ""
    name: str = ""
    more: bool = False


def walk(
    read: Callable[[int, int], bytes], size: int, where: str
) -> Iterator[Member | End]:
    """Every member that is whole, in order, and then the end.

    Args:
      read: (start, end) -> bytes.
      size: of the tar, in bytes.
      where: its name, for messages.

    Raises:
      BridgeError: a header is none, with its place.
    """
    at = whole = 0
    said: dict[str, str] = {}  # by extended headers, of the next member
    while True:
        head = read(at, at + BLOCK)
        if len(head) < BLOCK:
            left = f"{len(head)} bytes of a header" if head else "no mark of its end"
            yield End(whole, f"there is {left} at byte {at}")
            return
        if head == _ZEROS:
            yield End(whole, more=bool(read(at, at + _PADDING).strip(b"\0")))
            return
        length = _length(head, where, at)
        kind, start = head[156:157], at + BLOCK
        if kind == b"S":  # its map may go on in further blocks
            more = head[482]
            while more:
                block = read(start, start + BLOCK)
                more, start = len(block) == BLOCK and block[504], start + BLOCK
        name = said.get("path", _name(head))
        if kind in b"xgLK":
            if length > _LONGEST:
                raise BridgeError(f"{where}: the header at byte {at} is damaged")
        elif "size" in said:
            length = _decimal(said["size"], where, at)
        end = start if kind in _EMPTY else start + length
        if end > size:
            lack = f"{end - size} of {length} bytes of {name!r} are missing"
            yield End(whole, lack, "" if kind in b"xgLK" else name)
            return
        at = start + -(-(end - start) // BLOCK) * BLOCK
        if kind in b"xgLK":
            said |= _extension(kind, read(start, end), where, start)
            continue
        if kind in _REGULAR or kind == b"S":
            sparse = kind == b"S" or any(key.startswith("GNU.sparse") for key in said)
            yield Member(name, start, length, sparse)
        said, whole = {}, at


def _length(head: bytes, where: str, at: int) -> int:
    """The size that a header tells, after a look at its check sum."""
    try:
        told = int(head[148:156].split(b"\0")[0].strip() or b"x", 8)
        if told != sum(head[:148]) + 8 * ord(" ") + sum(head[156:]):
            raise ValueError
        field = head[124:136]
        if field[0] == 0x80:  # GNU's way to say 8 GiB and more
            length = int.from_bytes(field[1:], "big")
        else:
            length = int(field.split(b"\0")[0].strip() or b"0", 8)
        if not 0 <= length < 1 << 62:
            raise ValueError
    except ValueError:
        what = "is no tar" if not at else f"the header at byte {at} is damaged"
        raise BridgeError(f"{where}: {what}") from None
    return length


def _name(head: bytes) -> str:
    name = _text(head[:100])
    prefix = _text(head[345:500]) if head[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "surrogateescape")


def _extension(kind: bytes, told: bytes, where: str, at: int) -> dict[str, str]:
    """What an extended header says of the next member; nothing of links' targets."""
    if kind == b"L":
        return {"path": _text(told)}
    found: dict[str, str] = {}
    while kind == b"x" and told.strip(b"\0"):
        # "LENGTH KEY=VALUE\n", where LENGTH counts all of that.
        number = told.partition(b" ")[0]
        length = int(number) if number.isdigit() and len(number) < 8 else 0
        line = told[len(number) + 1 : length]
        key, equals, text = line.removesuffix(b"\n").partition(b"=")
        if not equals or length > len(told) or not line.endswith(b"\n"):
            raise BridgeError(f"{where}: the extended header at byte {at} is damaged")
        key = key.decode("utf-8", "surrogateescape")
        found[key] = text.decode("utf-8", "surrogateescape")
        told = told[length:]
    return found


def _decimal(told: str, where: str, at: int) -> int:
    if not (told.isascii() and told.isdigit()) or len(told) > 18:
        raise BridgeError(f"{where}: the header at byte {at} is damaged")
    return int(told)
