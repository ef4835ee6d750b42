"""What every side of torch needs: seeded weights that are saved, and its training."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from bridge_jax.bench.side_by_side.case import LEARNING_RATE, Side, Task

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def made(task: Task, make: Callable[[], Any], name: str = "") -> Any:
    """The model that `make` makes with a seed, saved below task.weights/name.

    It is made where it is used and in its dtype: on a card that takes seconds, and what
    it computes for itself, such as the frequencies of rotary embeddings, is not rounded
    as moving it to another dtype would.
    """
    torch.manual_seed(0)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, task.dtype))
    try:
        with torch.device(DEVICE):
            model = make().eval()
    finally:
        torch.set_default_dtype(usual)
    if not (task.weights / name).exists():
        model.save_pretrained(task.weights / name)
    return model


def given(task: Task, arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Arrays on the device; those of floats in the task's dtype."""
    dtype = getattr(torch, task.dtype)
    tensors = {name: torch.from_numpy(one).to(DEVICE) for name, one in arrays.items()}
    return {
        name: one.to(dtype) if one.is_floating_point() else one
        for name, one in tensors.items()
    }


def forward(task: Task, function: Callable[[], torch.Tensor]) -> Side:
    """A side whose one result is the tensor that `function` returns."""
    function = compiled(task, function)

    def run() -> torch.Tensor:
        with torch.inference_mode():
            out = function()
        _wait()
        return out

    return Side(run, lambda out: {"out": array(out)})


def train(task: Task, model: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Side:
    """A side that takes training steps as ours do: AdamW, clipping at a norm of 1."""
    parameters = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, LEARNING_RATE, weight_decay=0.0, fused=True
    )
    loss = compiled(task, loss)

    def run() -> torch.Tensor:
        value = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        _wait()
        return value.detach()

    return Side(run, lambda value: {"loss": array(value)})


def compiled(task: Task, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, compiled by torch where the task says so."""
    return torch.compile(function) if task.compiled else function


mse = torch.nn.functional.mse_loss


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def to_nchw(images: np.ndarray) -> np.ndarray:
    """[B, h, w, C] -> [B, C, h, w]."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def held() -> int | None:
    """Bytes that the card held at most; None where there is none."""
    return torch.cuda.max_memory_allocated() if DEVICE == "cuda" else None


def _wait() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()
