"""Qwen2-VL sizes: one frozen dataclass, and the published variants as a table."""

import dataclasses

from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import packed, stack


@dataclasses.dataclass(frozen=True)
class VisionConfig:
    """The vision tower; its output width is the LLM's hidden size."""

    depth: int = 32
    dim: int = 1280
    heads: int = 16
    patch: int = 14  # pixels a side
    temporal_patch: int = 2  # frames that share one patch
    merge: int = 2  # patches a side that become one visual token
    mlp_ratio: int = 4
    channels: int = 3
    eps: float = 1e-6
    theta: float = 10000.0

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads

    @property
    def patch_dim(self) -> int:
        """Values in one flattened (channel, frame, row, column) patch."""
        return self.channels * self.temporal_patch * self.patch**2


@dataclasses.dataclass(frozen=True)
class Config:
    """The whole model. Raises BridgeError for sizes that cannot fit together.

    Attributes:
      attention: a name of `packed.KERNELS`.
      remat: a name of `stack.POLICIES`, for tower and decoder.
      scan: run both as loops while training, see `stack.fold`.
    """

    vocab_size: int = 152064
    hidden_size: int = 3584
    layers: int = 28
    heads: int = 28
    kv_heads: int = 4
    head_dim: int = 128
    ffn_size: int = 18944
    mrope_sections: tuple[int, int, int] = (16, 24, 24)  # rotary pairs for t, h, w
    theta: float = 1e6
    eps: float = 1e-6
    tied_embeddings: bool = False
    vision: VisionConfig = VisionConfig()
    image_pad: int = 151655
    video_pad: int = 151656
    vision_start: int = 151652
    vision_end: int = 151653
    eos: int = 151645
    pad: int = 151643
    dtype: str = "float32"
    param_dtype: str = "float32"
    attention: str = "xla"
    remat: str = "none"
    scan: bool = False

    @property
    def qkv_bias(self) -> bool:
        """As in every Qwen2."""
        return True

    def __post_init__(self):
        # A config read back from json brings a list.
        object.__setattr__(self, "mrope_sections", tuple(self.mrope_sections))
        problems = []
        if 2 * sum(self.mrope_sections) != self.head_dim:
            problems.append(
                f"mrope_sections {self.mrope_sections} must sum to half of head_dim "
                f"{self.head_dim}"
            )
        if self.heads % self.kv_heads:
            problems.append(f"kv_heads {self.kv_heads} must divide heads {self.heads}")
        if self.vision.dim % (4 * self.vision.heads):
            problems.append(
                f"vision.dim {self.vision.dim} must be a multiple of 4 x vision.heads"
            )
        problems += packed.problems(self.attention) + stack.problems(self.remat)
        if problems:
            raise BridgeError("qwen2_vl config: " + "; ".join(problems))


SIZES: dict[str, Config] = {
    # Ours, for tests and one-minute recipes.
    "tiny": Config(
        vocab_size=640,
        hidden_size=192,
        layers=5,
        heads=6,
        kv_heads=2,
        head_dim=32,
        ffn_size=512,
        mrope_sections=(4, 6, 6),
        theta=10000.0,
        tied_embeddings=True,
        vision=VisionConfig(depth=3, dim=128, heads=4, patch=8, mlp_ratio=2),
        image_pad=5,
        video_pad=6,
        vision_start=3,
        vision_end=4,
        eos=2,
        pad=0,
    ),
    # https://huggingface.co/Qwen/Qwen2-VL-2B-Instruct/blob/main/config.json
    "2b": Config(
        vocab_size=151936,
        hidden_size=1536,
        heads=12,
        kv_heads=2,
        ffn_size=8960,
        tied_embeddings=True,
    ),
    # https://huggingface.co/Qwen/Qwen2-VL-7B-Instruct/blob/main/config.json
    "7b": Config(),
    # https://huggingface.co/Qwen/Qwen2-VL-72B-Instruct/blob/main/config.json
    "72b": Config(hidden_size=8192, layers=80, heads=64, kv_heads=8, ffn_size=29568),
}
