"""What makers publish of their accelerators; nothing of it was measured by us.

Sources: https://cloud.google.com/tpu/docs (v4, v5p, v5e, v6e) and NVIDIA's data sheets
(A100, H100 SXM, H200, B200), dense bfloat16.
"""

import dataclasses
import math

import jax


@dataclasses.dataclass(frozen=True)
class Peak:
    """Of one device.

    Attributes:
      flops: bfloat16 FLOP/s.
      memory: bytes/s of its memory.
      link: bytes/s to the devices it is wired to, all wires together, one way.
    """

    flops: float
    memory: float
    link: float


UNKNOWN = Peak(math.nan, math.nan, math.nan)
# By what jax calls them.
PEAKS = {
    "TPU v4": Peak(275e12, 1228e9, 300e9),
    "TPU v5": Peak(459e12, 2765e9, 600e9),
    "TPU v5 lite": Peak(197e12, 819e9, 200e9),
    "TPU v6 lite": Peak(918e12, 1640e9, 448e9),
    "NVIDIA A100-SXM4-80GB": Peak(312e12, 2039e9, 300e9),
    "NVIDIA H100 80GB HBM3": Peak(989e12, 3350e9, 450e9),
    "NVIDIA H200": Peak(989e12, 4800e9, 450e9),
    "NVIDIA B200": Peak(2250e12, 8000e9, 900e9),
}


def peak(kind: str) -> Peak:
    """Of a `jax.Device.device_kind`; nan where it is not known."""
    return PEAKS.get(kind, UNKNOWN)


def platform() -> str:
    """Of the devices that the program being traced is for: "cpu", "gpu", "tpu"."""
    device = jax.sharding.get_abstract_mesh().abstract_device
    return device.platform if device is not None else jax.default_backend()


def is_one_cpu() -> bool:
    """Whether programs traced now run on a CPU and on no other device beside it."""
    return platform() == "cpu" and jax.device_count() == 1


def has_cudnn() -> bool:
    """Whether programs traced now run on a GPU of this process.

    Kernels of cuDNN are chosen while a program is traced, which no GPU that is merely
    described (`plan`) can do.
    """
    if jax.default_backend() != "gpu" or platform() in ("cpu", "tpu"):
        return False
    return "rocm" not in jax.devices()[0].client.platform_version


def held() -> int | None:
    """Bytes the first device has held at most; None where it does not tell (CPU)."""
    told = jax.devices()[0].memory_stats()
    return None if told is None else told.get("peak_bytes_in_use")
