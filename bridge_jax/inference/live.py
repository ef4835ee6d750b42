"""Answers for people who come and go: each begins at once, and is told as it grows.

One thread owns the device. Whoever asks gets a `Reply`; all that is asked at a time
decodes side by side, whatever its settings, and the answer is that of `turns.replies`.
"""

import collections
import threading
from collections.abc import Sequence
from typing import Any, Self

from bridge_jax.core import runtime
from bridge_jax.core.errors import BridgeError
from bridge_jax.data import chat
from bridge_jax.inference import batching, inputs
from bridge_jax.inference.answering import (
    choosing,
    decode,
    looking,
    seats,
    turns,
)
from bridge_jax.inference.answering.choosing import Choice
from bridge_jax.inference.answering.reply import Failed, Piece, Reply
from bridge_jax.inference.answering.request import Request
from bridge_jax.inference.model import Model

__all__ = ["Choice", "Failed", "Live", "Piece", "Reply"]
_LOOKS = 256  # descriptions of pictures that are remembered


class Live:
    """A model that answers many at once. Safe to use from any thread.

    A model that looks first (`Instructions.look_first`) describes the pictures of each
    message to itself before it answers, once for equal ones.

    Args:
      rows: how many are answered side by side; the others wait for their turn.
      max_context: most tokens of a prompt and its answer together; by default what
        the model was loaded with.
    """

    def __init__(self, model: Model, *, rows: int = 8, max_context: int | None = None):
        runtime.need_one_process("a live chat", "bridge evaluate for many answers")
        model.engine.need("chat", "vlm")
        inputs.positive(rows, "rows")
        self._engine = model.engine
        self._context = max_context or model.engine.limits.max_context
        self._seats = seats.Seats(model.engine, model.params, rows, self._context)
        self._change = threading.Condition()
        self._waiting: list[Request] = []
        self._sitting: dict[int, Request] = {}
        self._looks: collections.OrderedDict[bytes, Request] = collections.OrderedDict()
        self._closing = self._dropping = False
        self._thread = threading.Thread(target=self._work, name="live", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self.close(wait=error is None)

    @property
    def busy(self) -> tuple[int, int]:
        """How many are being answered, and how many wait."""
        with self._change:
            return len(self._sitting), len(self._waiting)

    @property
    def prompt_tokens(self) -> tuple[int, int]:
        """Of all prompts so far: how many were read, and how many were remembered."""
        return self._seats.read, self._seats.reused

    def ask(
        self, messages: Sequence[chat.Message], images: Sequence[Any] = (), *,
        choice: Choice, number: int | None = None,
    ) -> Reply:  # fmt: skip
        """What the assistant says next.

        The random numbers that it draws depend on the seed and on what is asked: who
        asks twice with one seed is answered alike.

        Args:
          messages: as of `data/chat.py`.
          images: the pictures and videos that they mention, in order.
          number: which random numbers it draws, in place of those that depend on what
            is asked.

        Raises:
          BridgeError: pictures that cannot be read, parts that are none, settings that
            cannot be, what is too long; or it is closed.
        """
        choosing.check(choice, self._context)
        images = inputs.mentioned(images, looking.mentions(messages))
        pictures = inputs.pictures(images, self._engine.processor) if images else []
        if pictures:
            self._engine.need_eyes()
        request = self._request(messages, pictures, choice)
        request.number = number
        asked = turns.conversation(self._engine, messages, pictures)
        shown = looking.shown(self._engine, messages)
        look = looking.choice_of(self._engine)
        if shown:  # what is seen will take room, too
            silent = looking.after_looking(
                self._engine, messages, dict.fromkeys(shown, "")
            )
            asked = turns.conversation(self._engine, silent, pictures)
        size = len(asked.row.tokens) + look.max_new_tokens * len(shown)
        decode.check_context([size], choice.max_new_tokens, self._context)
        with self._change:
            if self._closing:
                raise BridgeError("this chat is closed: nothing more can be asked")
            seen = iter(pictures)
            for i, message in enumerate(messages):
                some = [next(seen) for _ in looking.mentions([message])]
                if i in shown:
                    request.looks[i] = self._looked(tuple(some), look)
            self._waiting.append(request)
            self._change.notify_all()
        return request.reply

    def close(self, wait: bool = True) -> None:
        """No more questions. Those asked are answered first, or else cancelled."""
        with self._change:
            self._closing = True
            self._dropping |= not wait
            self._change.notify_all()
        self._thread.join()

    # --- what is asked --------------------------------------------------------------

    def _request(self, messages, pictures, choice) -> Request:
        words = self._engine.processor.llm
        return Request(words, messages, pictures, choice, self._wake)

    def _looked(self, pictures: looking.Seen, choice: Choice) -> Request:
        """The request that looks at pictures: a new one, if nobody did."""
        name = b"|".join(
            f"{one.kind} {one.pixels.shape} ".encode() + one.pixels.tobytes()
            for one in pictures
        )
        known = self._looks.pop(name, None)
        if known is None or known.reply.failed:
            describe = {"type": "text", "text": self._engine.processor.words.describe}
            content = [*({"type": one.kind} for one in pictures), describe]
            messages = [{"role": "user", "content": content}]
            known = self._request(messages, pictures, choice)
            self._waiting.append(known)
        self._looks[name] = known
        while len(self._looks) > _LOOKS:
            self._looks.popitem(last=False)
        return known

    def _guest(self, request: Request) -> seats.Guest:
        """The conversation, once all its pictures are looked at."""
        looks = {i: look.reply.result().text for i, look in request.looks.items()}
        messages = looking.after_looking(self._engine, request.messages, looks)
        asked = turns.conversation(self._engine, messages, request.pictures)
        request.prompt_tokens = len(asked.row.tokens)
        number = request.number
        if number is None:
            number = int(batching.numbers([turns.name(asked)])[0, 0])
        return seats.Guest(asked, request.choice, number)

    # --- the thread that answers ----------------------------------------------------

    def _wake(self) -> None:
        with self._change:
            self._change.notify_all()

    def _work(self) -> None:
        while self._wait():
            try:
                self._drop()
                self._admit()
                self._advance()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told
                self._fail(error)

    def _wait(self) -> bool:
        """Whether there is something to do; False once there never will be."""
        with self._change:
            while not (self._waiting or self._sitting):
                if self._closing:
                    return False
                self._change.wait()
            return True

    def _drop(self) -> None:
        """Those who want no more."""
        with self._change:
            gone = [one for one in self._waiting if self._unwanted(one)]
            self._waiting = [one for one in self._waiting if one not in gone]
        for request in gone:
            request.end(cancelled=True)
        rows = [row for row, one in self._sitting.items() if self._unwanted(one)]
        self._leave(rows)
        for row in rows:
            self._sitting.pop(row).end(cancelled=True)

    def _unwanted(self, request: Request) -> bool:
        return self._dropping or request.reply.cancelled

    def _admit(self) -> None:
        """Those who wait, in order, but for whom something is looked at yet."""
        free = len(self._seats.free)
        with self._change:
            taken = [one for one in self._waiting if one.ready][:free]
        guests, requests = [], []
        for request in taken:
            try:
                guests.append(self._guest(request))
                requests.append(request)
            except Exception as error:  # noqa: BLE001 - looking failed
                request.reply.fail(error)
        with self._change:
            self._waiting = [one for one in self._waiting if one not in taken]
        try:
            rows = self._seats.seat(guests)
        except Exception as error:
            for request in requests:
                request.fail(error)
            raise
        for (row, reused), request in zip(rows.items(), requests, strict=True):
            request.reused = reused
            self._sitting[row] = request

    def _advance(self) -> None:
        if not self._sitting:
            return
        said = self._seats.advance()
        over = []
        for row, request in self._sitting.items():
            request.hear(said[row].tokens, said[row].told)
            if said[row].done or request.stopped:
                over.append(row)
        self._leave(over)
        for row in over:
            self._sitting.pop(row).end(stopped=said[row].stopped)

    def _leave(self, rows: Sequence[int]) -> None:
        if rows:
            self._seats.leave(rows)

    def _fail(self, error: Exception) -> None:
        """Who sits gets the error; the others are answered after a fresh start."""
        for request in self._sitting.values():
            request.fail(error)
        self._sitting.clear()
        try:
            self._seats.clear()
        except Exception as fatal:  # noqa: BLE001 - there is no device any more
            with self._change:
                self._closing, left, self._waiting = True, self._waiting, []
            for request in left:
                request.fail(fatal)
