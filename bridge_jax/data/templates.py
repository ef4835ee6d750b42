"""How conversations are written, by name: fixed here in code, as data.

No template that comes with a model is executed. In these strings `<|...|>` are control
tokens of the tokenizer; everything else is text, and so is whatever stands for {role}.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping

from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError

_CONTROL = re.compile(r"(<\|\w+\|>)")
VISUAL = "{visual}"  # where the visual tokens of one picture stand


@dataclasses.dataclass(frozen=True)
class Template:
    """One way to write a conversation.

    Attributes:
      begin: before the first message.
      opening: before each message; {role} is its role.
      stop: ends a message; the assistant learns to write it.
      gap: after it.
      picture: around a picture's or video's tokens, which stand for {visual}.
      placeholders: kind -> the control token whose id stands where they go.
      end_of_text: ends a document, and what a model without an end to its turn says.
    """

    opening: str
    stop: str
    gap: str
    placeholders: Mapping[str, str]
    end_of_text: str
    begin: str = ""
    picture: str = VISUAL

    @property
    def ends(self) -> tuple[str, str]:
        """The control tokens that end an answer."""
        return self.stop, self.end_of_text

    def around(self) -> tuple[str, str]:
        """What stands before and after a picture's tokens."""
        before, _, after = self.picture.partition(VISUAL)
        return before, after


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """("<|im_start|>", True), ("user\\n", False): a template's string, cut up."""
    for part in _CONTROL.split(text):
        if part:
            yield part, bool(_CONTROL.fullmatch(part))


TEMPLATES: dict[str, Template] = {
    # https://huggingface.co/Qwen/Qwen2-VL-7B-Instruct, chat_template.json
    "qwen2_vl": Template(
        opening="<|im_start|>{role}\n",
        stop="<|im_end|>",
        gap="\n",
        picture=f"<|vision_start|>{VISUAL}<|vision_end|>",
        placeholders={"image": "<|image_pad|>", "video": "<|video_pad|>"},
        end_of_text="<|endoftext|>",
    ),
    # Qwen2 and Qwen2.5 as LLaVA writes them: a picture, a line break, the question.
    "qwen2": Template(
        opening="<|im_start|>{role}\n",
        stop="<|im_end|>",
        gap="\n",
        picture=f"{VISUAL}\n",
        placeholders=dict.fromkeys(("image", "video"), "<|endoftext|>"),
        end_of_text="<|endoftext|>",
    ),
    # https://huggingface.co/meta-llama/Meta-Llama-3-8B-Instruct, as LLaVA writes it.
    "llama3": Template(
        begin="<|begin_of_text|>",
        opening="<|start_header_id|>{role}<|end_header_id|>\n\n",
        stop="<|eot_id|>",
        gap="",
        picture=f"{VISUAL}\n",
        placeholders=dict.fromkeys(("image", "video"), "<|end_of_text|>"),
        end_of_text="<|end_of_text|>",
    ),
}


def named(name: str) -> Template:
    """The template of that name. Raises BridgeError if there is none."""
    if name not in TEMPLATES:
        known = ", ".join(TEMPLATES)
        raise BridgeError(
            f"there is no template {name!r}{suggest(name, TEMPLATES)}: {known}"
        )
    return TEMPLATES[name]
