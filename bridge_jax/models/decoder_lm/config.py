"""Sizes of the text decoders."""

import dataclasses

from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import packed, stack


@dataclasses.dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """LLaMA-3.1's: long wave lengths are stretched, short ones stay.

    Attributes:
      factor: by which they are stretched.
      low, high: wave lengths longer than original / low are stretched whole, shorter
        than original / high not at all, between smoothly.
      original: context length of pretraining.
    """

    factor: float = 8.0
    low: float = 1.0
    high: float = 4.0
    original: int = 8192


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A decoder without eyes. Raises BridgeError for sizes that cannot fit together.

    Attributes:
      qkv_bias: True for Qwen2, False for LLaMA.
      scaling: of rotary frequencies, or None.
      attention: a name of `packed.KERNELS`.
      remat: a name of `stack.POLICIES`.
      scan: run the layers as a loop while training, see `stack.fold`.
    """

    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn_size: int
    theta: float
    qkv_bias: bool
    tied_embeddings: bool = False
    scaling: RopeScaling | None = None
    eps: float = 1e-6
    dtype: str = "float32"
    param_dtype: str = "float32"
    attention: str = "xla"
    remat: str = "none"
    scan: bool = False

    def __post_init__(self):
        problems = []
        if self.heads % self.kv_heads:
            problems.append(f"kv_heads {self.kv_heads} must divide heads {self.heads}")
        if self.head_dim % 2:
            problems.append(f"head_dim {self.head_dim} must be even")
        problems += packed.problems(self.attention) + stack.problems(self.remat)
        if problems:
            raise BridgeError("decoder_lm config: " + "; ".join(problems))


SIZES: dict[str, Config] = {
    "tiny": Config(
        vocab_size=576,
        hidden_size=128,
        layers=3,
        heads=4,
        kv_heads=2,
        head_dim=32,
        ffn_size=320,
        theta=1e4,
        qkv_bias=True,
        tied_embeddings=True,
    ),
    # https://huggingface.co/Qwen/Qwen2-0.5B/blob/main/config.json
    "qwen2_0.5b": Config(
        vocab_size=151936,
        hidden_size=896,
        layers=24,
        heads=14,
        kv_heads=2,
        head_dim=64,
        ffn_size=4864,
        theta=1e6,
        qkv_bias=True,
        tied_embeddings=True,
    ),
    # https://huggingface.co/Qwen/Qwen2.5-14B/blob/main/config.json
    "qwen2.5_14b": Config(
        vocab_size=152064,
        hidden_size=5120,
        layers=48,
        heads=40,
        kv_heads=8,
        head_dim=128,
        ffn_size=13824,
        theta=1e6,
        qkv_bias=True,
        eps=1e-5,
    ),
    # https://huggingface.co/meta-llama/Meta-Llama-3-8B/blob/main/config.json
    "llama3_8b": Config(
        vocab_size=128256,
        hidden_size=4096,
        layers=32,
        heads=32,
        kv_heads=8,
        head_dim=128,
        ffn_size=14336,
        theta=5e5,
        qkv_bias=False,
        eps=1e-5,
    ),
}
