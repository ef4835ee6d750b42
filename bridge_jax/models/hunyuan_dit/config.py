"""Sizes of HunyuanDiT v1.2."""

import dataclasses

from bridge_jax.core.errors import BridgeError
from bridge_jax.layers import packed, stack


@dataclasses.dataclass(frozen=True)
class Config:
    """The defaults are the published DiT-g/2.

    Raises:
      BridgeError: all dimensions that do not fit together, at once.
    """

    hidden: int = 1408
    heads: int = 16
    depth: int = 40
    mlp_ratio: float = 4.3637
    patch: int = 2
    in_channels: int = 4
    input_size: int = 64  # native latent side; any other size is laid into its grid
    clip_dim: int = 1024  # also the width of the text states seen by the blocks
    clip_length: int = 77
    t5_dim: int = 2048
    t5_length: int = 256
    t5_mlp_hidden: int = 8192
    pooler_heads: int = 8
    pooler_out: int = 1024
    time_frequencies: int = 256
    learn_sigma: bool = True
    qk_norm: bool = True
    norm_eps: float = 1e-6
    dtype: str = "float32"
    param_dtype: str = "float32"
    attention: str = "xla"  # a name of `packed.KERNELS`
    remat: str = "none"  # a name of `stack.POLICIES`
    scan: bool = False  # run the blocks as loops, see `stack.fold`

    def __post_init__(self):
        problems = []
        if self.hidden % self.heads or self.head_dim % 4:
            problems.append(
                f"hidden {self.hidden} must be a multiple of 4 * heads {self.heads}"
            )
        if self.depth % 2:
            problems.append(f"depth {self.depth} must be even (long skips pair blocks)")
        if self.t5_dim % self.pooler_heads:
            problems.append(
                f"t5_dim {self.t5_dim} must be a multiple of pooler_heads "
                f"{self.pooler_heads}"
            )
        if self.input_size % self.patch:
            problems.append(
                f"input_size {self.input_size} must be a multiple of patch {self.patch}"
            )
        problems += packed.problems(self.attention) + stack.problems(self.remat)
        if self.time_frequencies % 2:
            problems.append(f"time_frequencies {self.time_frequencies} must be even")
        if problems:
            raise BridgeError(f"hunyuan_dit config: {'; '.join(problems)}")

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads

    @property
    def base_grid(self) -> int:
        """Patches a side of the native image, the range of rotary positions."""
        return self.input_size // self.patch

    @property
    def mlp_hidden(self) -> int:
        return int(self.hidden * self.mlp_ratio)

    @property
    def text_length(self) -> int:
        return self.clip_length + self.t5_length

    @property
    def out_channels(self) -> int:
        return self.in_channels * (2 if self.learn_sigma else 1)

    @property
    def feeding(self) -> int:
        """How many first blocks feed a long skip to as many last ones, outermost first.

        The two in the middle neither feed one nor take one.
        """
        return self.depth // 2 - 1

    def has_skip(self, layer: int) -> bool:
        """Whether block `layer` takes a long skip from the first half."""
        return layer >= self.depth - self.feeding


SIZES: dict[str, Config] = {
    # Trains in minutes on two CPU cores: 64 px images as 8 x 8 latents of 8 channels.
    "tiny": Config(
        hidden=256,
        heads=8,
        depth=8,
        mlp_ratio=4.0,
        in_channels=8,
        input_size=8,
        clip_dim=128,
        clip_length=40,
        t5_dim=128,
        t5_length=36,
        t5_mlp_hidden=256,
        pooler_heads=4,
        pooler_out=256,
    ),
    # DiT-g/2, 1.5 B (arXiv 2405.08748, table 1); lengths, padding and mlp_t5 as in
    # the released v1.2 weights, 512 px latents as in its rotary table.
    "g2": Config(),
}
