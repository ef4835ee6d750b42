"""Sizes of tower, connector and decoder, and which of them it is."""

import dataclasses
import importlib
from typing import Any

from bridge_jax.core import config as core_config
from bridge_jax.core import rooms
from bridge_jax.core.errors import BridgeError
from bridge_jax.models.clip_vit import config as clip
from bridge_jax.models.decoder_lm import config as decoder
from bridge_jax.models.langbridge import config as adapter
from bridge_jax.models.llava.towers import given as ready
from bridge_jax.models.llava.towers import qwen2_vl as native

ROOM = "bridge_jax.models.llava"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Raises BridgeError for sizes that cannot fit together.

    Attributes:
      llm: the decoder.
      tower: a file of `towers`; the field of that name has its sizes.
      connector: a file of `connectors`.
      langbridge: sizes of the vocabulary adapter, if that is the connector.
      words: ids, in the decoder's vocabulary, of the words that langbridge and mixture
        combine.
    """

    llm: decoder.Config
    tower: str = "clip_vit"
    clip_vit: clip.Config | None = None
    qwen2_vl: native.Config | None = None
    given: ready.Config | None = None
    connector: str = "mlp2x_gelu"
    langbridge: adapter.Config | None = None
    words: tuple[int, ...] = ()

    def __post_init__(self):
        # A config read back from json brings a list.
        object.__setattr__(self, "words", tuple(self.words))
        problems = _unknown("tower", self.tower) + _unknown("connector", self.connector)
        if not problems and getattr(self, self.tower, None) is None:
            problems.append(f"tower {self.tower!r} has no sizes {self.tower}")
        if self.connector == "langbridge":
            problems += self._adapter()
        elif self.connector == "mixture" and not problems:
            problems += self._mixture()
        if problems:
            raise BridgeError("llava config: " + "; ".join(problems))

    def _adapter(self) -> list[str]:
        sizes, words = self.langbridge, self.words
        if sizes is None:
            return ["connector 'langbridge' has no sizes langbridge"]
        problems = []
        if (
            getattr(self, self.tower, None) is not None
            and sizes.vision != self.features
        ):
            problems.append(
                f"langbridge.vision {sizes.vision} is not the tower's {self.features}"
            )
        if len(words) != sizes.vocab:
            problems.append(f"{len(words)} words for langbridge.vocab {sizes.vocab}")
        return problems + self._ids()

    def _mixture(self) -> list[str]:
        problems = []
        if len(self.words) != self.features:
            problems.append(
                f"{len(self.words)} words for the tower's {self.features} coefficients"
            )
        return problems + self._ids()

    def _ids(self) -> list[str]:
        problems, words = [], self.words
        if len(set(words)) != len(words):
            problems.append("words holds an id twice")
        if beyond := [i for i in words if not 0 <= i < self.llm.vocab_size]:
            problems.append(
                f"words {beyond[:3]} are no ids of a vocabulary of"
                f" {self.llm.vocab_size}: they are another decoder's"
            )
        return problems

    @property
    def seen(self) -> Any:
        """Sizes of the tower."""
        return getattr(self, self.tower)

    @property
    def features(self) -> int:
        """Width of what the tower says."""
        return self._tower().width(self.seen)

    def nothing(self) -> tuple[Any, Any, Any]:
        """The least that the tower can be given to see."""
        return self._tower().nothing(self.seen)

    def _tower(self) -> Any:
        return importlib.import_module(f"{ROOM}.towers.{self.tower}")

    # What a key-value cache is made for (`kv_cache.Sizes`), and scores are of.

    @property
    def layers(self) -> int:
        return self.llm.layers

    @property
    def kv_heads(self) -> int:
        return self.llm.kv_heads

    @property
    def head_dim(self) -> int:
        return self.llm.head_dim

    @property
    def vocab_size(self) -> int:
        return self.llm.vocab_size

    @property
    def dtype(self) -> str:
        return self.llm.dtype

    @property
    def param_dtype(self) -> str:
        return self.llm.param_dtype


def _unknown(kind: str, name: str) -> list[str]:
    """A sentence if there is no file of that name; with a dot, it is a module's."""
    known = rooms.names(f"{ROOM}.{kind}s", kind.capitalize())
    if name in known or "." in name:
        return []
    there = ", ".join(known)
    return [f"{kind} {name!r} is none of {there}{core_config.suggest(name, known)}"]


# Any ids, for tests; a recipe has those of its file of words.
_WORDS = tuple(range(300, 300 + adapter.SIZES["tiny"].vocab))

SIZES: dict[str, Config] = {
    "tiny": Config(
        llm=decoder.SIZES["tiny"],
        tower="qwen2_vl",
        qwen2_vl=native.Config(
            hidden_size=128,
            vision=native.config_lib.VisionConfig(
                depth=3, dim=128, heads=4, patch=8, mlp_ratio=2
            ),
        ),
        connector="langbridge",
        langbridge=adapter.SIZES["tiny"],
        words=_WORDS,
    ),
    # LangBridge (arXiv 2503.19404): the small LLM that its adapter is trained with.
    "qwen2_0.5b": Config(
        llm=decoder.SIZES["qwen2_0.5b"],
        clip_vit=clip.SIZES["l14_336"],
    ),
    "llama3_8b": Config(
        llm=decoder.SIZES["llama3_8b"],
        clip_vit=clip.SIZES["l14_336"],
    ),
    "qwen2.5_14b": Config(
        llm=decoder.SIZES["qwen2.5_14b"],
        clip_vit=clip.SIZES["l14_336"],
    ),
}
