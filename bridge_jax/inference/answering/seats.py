"""The rows of a ring and who sits in them: the device's side of live answers.

One thread at a time. R rows of one ring, whatever their settings; what two prompts
begin with alike is read once (see `kept.py`).
"""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from bridge_jax.core.types import Params
from bridge_jax.inference import batching
from bridge_jax.inference.answering import decode, kept, ring
from bridge_jax.inference.answering.choosing import Choice
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


@dataclasses.dataclass
class _Seated:
    """A guest in a row.

    Attributes:
      names: of the prompt's tokens, see `kept.names`.
      reused: how many of these were not read again.
      written: tokens of the answer, with the one that ended it.
    """

    guest: Guest
    names: np.ndarray
    reused: int = 0
    written: list[int] = dataclasses.field(default_factory=list)


class Seats:
    """R rows, at least `rows`, each with room for `context` tokens.

    As many tokens as the rows have are kept of what was read before.

    Attributes:
      read, reused: tokens of all prompts so far that were read, and that were not,
        since a prompt before them began alike.
    """

    def __init__(self, engine: Engine, params: Params, rows: int, context: int):
        self._engine, self._params = engine, params
        self._rows = batching.length_bucket(rows, engine.parts)
        self._slots = batching.length_bucket(context)
        self._stops, shared = decode.common(engine, Choice())
        self._shared = {"stops": shared["stops"]}
        self.read = self.reused = 0
        self.clear()

    def clear(self) -> None:
        """Nobody sits anywhere, and nothing is left of a step that failed."""
        self._seated: dict[int, _Seated] = {}
        self._kept = kept.Kept(self._rows * self._slots)
        self._state = ring.empty(
            self._engine, self._rows, self._slots, 2 * STEPS, greedy=False, told=True
        )

    @property
    def free(self) -> list[int]:
        return [row for row in range(self._rows) if row not in self._seated]

    def seat(self, guests: Sequence[Guest]) -> dict[int, int]:
        """Row -> how many tokens were not read again, for each guest in order.

        There are no more than free rows. As many prompts are read at a time as devices
        share a batch; one that goes on from what is kept is read by itself.
        """
        merge = self._engine.processor.config.merge
        taken = dict(zip(self.free, guests, strict=False))
        together: dict[int, _Seated] = {}
        for row, guest in taken.items():
            one = _Seated(guest, kept.names(guest.conversation, merge))
            if found := self._kept.find(one.names):
                self._resume(row, one, *found)
                continue
            together[row] = one
            if len(together) == self._engine.parts:
                self._begin(together)
                together = {}
        if together:
            self._begin(together)
        return {row: self._seated[row].reused for row in taken}

    def advance(self) -> dict[int, Said]:
        """A few more tokens, and what each row that is taken has said."""
        engine, state = self._engine, self._state
        self._state = state = engine.advance(
            ring.advance, self._params, state, self._shared, steps=STEPS
        )
        choices = [one.guest.choice for one in self._seated.values()]
        wanted = any(choice.logprobs is not None for choice in choices)
        names = list(state["written"]) if wanted else ["tokens"]
        done, turn, written = jax.device_get(
            (state["done"], state["turn"], {n: state["written"][n] for n in names})
        )
        found = {}
        for row, one in self._seated.items():
            turns = np.arange(len(one.written), turn[row])
            new = {
                name: all_[row, turns % all_.shape[1]] for name, all_ in written.items()
            }
            tokens = new.pop("tokens")
            one.written += tokens.tolist()
            stopped = bool(len(tokens)) and int(tokens[-1]) in self._stops
            found[row] = Said(
                tokens[: -1 if stopped else None], new, done[row], stopped
            )
        return found

    def leave(self, rows: Sequence[int]) -> None:
        """These rows are free, whether or not they have done; they are remembered."""
        done = np.array(self._state["done"])
        done[list(rows)] = True
        for row in rows:
            self._keep(row)
            del self._seated[row]
        self._state = self._state | {"done": done}

    def _begin(self, together: Mapping[int, _Seated]) -> None:
        """Prompts that are read as a batch, from their beginning."""
        seated = list(together.values())
        seated += seated[:1] * (self._engine.parts - len(seated))
        conversations = [one.guest.conversation for one in seated]
        longest = max(len(one.row.tokens) for one in conversations)
        length = min(batching.power_bucket(longest, batching.TOKENS), self._slots)
        prompts = decode.prepare(self._engine, conversations, length)
        self._enter(list(together), seated, prompts, self._shared)
        for row, one in together.items():
            self._count(row, one)

    def _resume(
        self, row: int, one: _Seated, beginning: kept.Beginning, count: int
    ) -> None:
        """A prompt that is read from token `count` on."""
        tokens = one.guest.conversation.row.tokens[:count]
        known = {
            "keys": beginning.keys,
            "values": beginning.values,
            "tokens": kept.padded(tokens, beginning.size),
            "count": np.int32(count),
        }
        prompts = kept.rest(self._engine, one.guest.conversation, count, self._slots)
        parts = self._engine.parts
        prompts = jax.tree.map(lambda leaf: np.repeat(leaf, parts, axis=0), prompts)
        one.reused = count
        self._enter([row], [one] * parts, prompts, self._shared | {"kept": known})
        self._count(row, one)

    def _enter(self, rows, seated, prompts, shared) -> None:
        new = ring.newcomers(
            self._engine,
            [one.guest.conversation for one in seated],
            [one.guest.choice for one in seated],
            np.asarray([one.guest.number for one in seated], np.uint32),
            greedy=False,
            prompts=prompts,
        )
        places = np.full(len(seated), self._rows, np.int32)
        places[: len(rows)] = rows
        batch = {"state": self._state, "new": new | {"rows": places}}
        self._state = self._engine.advance(ring.begin, self._params, batch, shared)

    def _count(self, row: int, one: _Seated) -> None:
        self._seated[row] = one
        self.reused += one.reused
        self.read += len(one.names) - one.reused
        self._keep(row)

    def _keep(self, row: int) -> None:
        """Remember what the cache holds of a row: all but what was written last."""
        one = self._seated[row]
        said = np.asarray(one.written[:-1], np.int64)
        names = np.concatenate([one.names, said])
        if self._kept.knows(names):
            return
        size = min(batching.power_bucket(len(names), kept.SIZE), self._slots)
        keys, values = self._engine.run(
            ring.keep,
            self._params,
            {"cache": self._state["cache"]},
            {"row": np.int32(row)},
            size=size,
        )
        self._kept.add(kept.Beginning(names, keys, values))
