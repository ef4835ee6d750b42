"""Sizes of the vocabulary adapter."""

import dataclasses

from bridge_jax.core.errors import BridgeError

FORMS = ("linear", "softmax", "topk")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Vision features to coefficients over a subset of a vocabulary.

    Attributes:
      vision: width of the vision features.
      hidden: width of both hidden layers.
      vocab: number of words in the subset.
      form: "linear", the raw signed coefficients, as released; "softmax", a
        distribution, as the paper says; "topk", a distribution over the largest.
      top: how many "topk" keeps.
    """

    vision: int
    hidden: int
    vocab: int
    form: str = "linear"
    top: int = 64
    dtype: str = "float32"
    param_dtype: str = "float32"

    def __post_init__(self):
        problems = []
        if self.form not in FORMS:
            problems.append(f"form {self.form!r} is none of {', '.join(FORMS)}")
        if self.form == "topk" and not 1 <= self.top <= self.vocab:
            problems.append(f"top {self.top} is not between 1 and vocab {self.vocab}")
        if problems:
            raise BridgeError(f"langbridge: {'; '.join(problems)}")


SIZES: dict[str, Config] = {
    "tiny": Config(vision=128, hidden=192, vocab=256),
    # CLIP ViT-L/14-336 features, 19,200 words.
    "clip_l_19k": Config(vision=1024, hidden=5120, vocab=19200),
}
