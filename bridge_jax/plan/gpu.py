"""GPU hosts that are not there, described to XLA (the extra `plan-gpu`).

XLA's own planning is all that takes place: kernels are not tuned, memory is counted by
its buffer assignment, and attention is XLA's, since cuDNN's needs the card.
"""

import dataclasses

import jax

from bridge_jax.core.errors import BridgeError

GIB = 2**30
# Triton's products are tuned on the card; without one some have no tiles at all.
OPTIONS = {"xla_gpu_enable_triton_gemm": False}
A_HOST = 8  # cards, wired to each other


@dataclasses.dataclass(frozen=True)
class Card:
    """What CUDA tells of a card (compute capability 9.0).

    Attributes:
      device: what jax calls it.
      bytes: of memory.
      bandwidth: bytes/s of it.
    """

    device: str
    bytes: int
    bandwidth: int

    @property
    def memory(self) -> float:
        """GiB."""
        return self.bytes / GIB

    def described(self) -> str:
        """As a GpuTargetConfigProto in text form."""
        facts = {
            "threads_per_block_limit": 1024,
            "threads_per_warp": 32,
            "shared_memory_per_block": 48 * 1024,
            "shared_memory_per_block_optin": 227 * 1024,
            "shared_memory_per_core": 228 * 1024,
            "threads_per_core_limit": 2048,
            "core_count": 132,
            "fpus_per_core": 128,
            "block_dim_limit_x": 2**31 - 1,
            "block_dim_limit_y": 2**16 - 1,
            "block_dim_limit_z": 2**16 - 1,
            "registers_per_core_limit": 2**16,
            "registers_per_block_limit": 2**16,
            "l2_cache_size": 50 * 2**20,
            "clock_rate_ghz": 1.98,
            "memory_bandwidth": self.bandwidth,
            "device_memory_size": self.bytes,
        }
        told = "\n".join(f"  {name}: {value}" for name, value in facts.items())
        return (
            f"gpu_device_info {{\n{told}\n"
            "  cuda_compute_capability { major: 9 }\n}\n"
            'platform_name: "CUDA"\ndnn_version_info { major: 9 minor: 10 }\n'
            f'device_description_str: "{self.device}"\n'
        )


KINDS = {
    "h100": Card("NVIDIA H100 80GB HBM3", 84_942_979_072, 3_352_320_000_000),
    "h200": Card("NVIDIA H200", 151_397_597_184, 4_800_000_000_000),
}


def sizes(kind: str) -> list[int]:
    """Cards in one host, and in hosts that one network joins."""
    del kind
    return [1, 2, 4, *(A_HOST * 2**i for i in range(8))]


def devices(kind: str, number: int, groups: int) -> list[jax.Device]:
    """Cards of `groups` groups of `number`, which is one of `sizes`.

    Raises:
      BridgeError: jax's CUDA plug-in is not installed.
    """
    from jax.experimental import topologies

    card = KINDS[kind]
    hosts = max(1, number // A_HOST)
    try:
        described = topologies.get_topology_desc(
            platform="cuda",
            target_config=card.described(),
            topology=f"{groups}x{hosts}x{number // hosts}",
        )
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BridgeError(
            f"cannot describe {kind}-{number}: {first}; is jax's CUDA plug-in"
            " installed? pip install -e '.[plan-gpu]'"
        ) from error
    return list(described.devices)
