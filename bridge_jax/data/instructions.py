"""What the model is asked, in words: one set for tiny worlds, one for real LLMs."""

import dataclasses

from bridge_jax.core.errors import BridgeError


@dataclasses.dataclass(frozen=True)
class Instructions:
    """Texts with one place to fill each.

    Attributes:
      describe: asks for the caption of a picture.
      draw: asks for the caption of a picture to be drawn; {prompt}.
      edit: asks, after a picture, for the caption of the edited picture; {instruction}.
      think: asks a question whose answer is to say first what it rests on, see
        `data/thinking.py`; {question}.
      system: text of the system message, or None for no such message.
      look_first: a picture is described before anything else is said of it, so that
        a small model has in words what it is asked about: the image description that
        OmniBridge's reasoning begins with, as a turn of its own.
    """

    describe: str
    draw: str
    edit: str
    think: str
    system: str | None
    look_first: bool = False

    def asked(self, question: str, think: bool) -> str:
        """A question as it is put to the model."""
        return self.think.format(question=question) if think else question


SETS = {
    "short": Instructions(
        describe="Describe the picture.",
        draw="Draw: {prompt}",
        edit="Edit: {instruction}",
        think="Think: {question}",
        system=None,
        look_first=True,
    ),
    "full": Instructions(
        describe="Describe this image in one sentence.",
        draw=(
            "Rewrite the following request as one short, unambiguous caption of the "
            "picture to be drawn, in fewer than 70 words. Name every object with its "
            "exact count, keep each colour with its object, and say where things are. "
            "Put the caption between <img> and </img>. Request: {prompt}"
        ),
        edit=(
            "Imagine this image after the following change, and write one short, "
            "unambiguous caption of the result, in fewer than 70 words, between <img> "
            "and </img>. Change: {instruction}"
        ),
        think=(
            "{question}\nThink about it step by step, and end with a colon and the "
            "answer alone."
        ),
        system="You are a helpful assistant.",
    ),
}


def named(name: str) -> Instructions:
    """The set of that name. Raises BridgeError with the valid names."""
    if name not in SETS:
        raise BridgeError(f"no instructions {name!r}: use one of {', '.join(SETS)}")
    return SETS[name]
