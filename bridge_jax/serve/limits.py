"""How much a server takes on, for one request and for all of them."""

import argparse
import dataclasses

from bridge_jax.core.errors import BridgeError

MEGABYTE = 2**20


def _most(default: int, help: str) -> int:
    return dataclasses.field(default=default, metadata={"help": help})


@dataclasses.dataclass(frozen=True)
class Limits:
    """Each is the most that is taken; one more is refused.

    Raises:
      BridgeError: every limit that is below 1, at once.
    """

    body_bytes: int = _most(32 * MEGABYTE, "bytes of a request")
    json_depth: int = _most(16, "JSON objects and lists within each other")
    messages: int = _most(256, "messages of a conversation")
    characters: int = _most(100_000, "characters of all texts of a request")
    pictures: int = _most(8, "pictures in a request")
    pixels: int = _most(32_000_000, "pixels of all pictures of a request")
    tokens: int = _most(1024, "tokens of an answer")
    n: int = _most(8, "answers or pictures that one request asks for")
    steps: int = _most(100, "denoiser steps of a picture")
    inputs: int = _most(256, "texts and pictures that one request embeds")
    results: int = _most(100, "pictures that one search finds")
    connections: int = _most(1000, "connections that are open")
    rows: int = _most(8, "conversations answered side by side")
    waiting: int = _most(64, "requests that wait, of each kind")
    seconds: int = _most(300, "seconds that a request may wait and run")
    body_seconds: int = _most(30, "seconds that a request may take to arrive")
    stop_seconds: int = _most(60, "seconds that running requests have once it stops")

    def __post_init__(self):
        low = [
            f"{flag(field.name)} {getattr(self, field.name)} is not at least 1"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) < 1
        ]
        if low:
            raise BridgeError("; ".join(low))


def flag(name: str) -> str:
    """The flag of a limit."""
    return f"--max-{name.replace('_', '-')}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A flag for each limit; `of` reads them."""
    group = parser.add_argument_group("limits")
    for field in dataclasses.fields(Limits):
        group.add_argument(
            flag(field.name),
            type=int,
            default=field.default,
            metavar="N",
            help=f"{field.metadata['help']} (default: %(default)s)",
        )


def of(args: argparse.Namespace) -> Limits:
    """The limits that flags say."""
    names = [field.name for field in dataclasses.fields(Limits)]
    return Limits(**{name: getattr(args, f"max_{name}") for name in names})
