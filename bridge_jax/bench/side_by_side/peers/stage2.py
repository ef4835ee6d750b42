"""Stage 2 as its reference computes it: a sample after the other, a token at a time."""

from collections.abc import Callable

import numpy as np
import torch

from bridge_jax.bench.side_by_side.peers import sides
from bridge_jax.bench.side_by_side.peers.omnibridge import OmniBridge


def trained(model: OmniBridge) -> OmniBridge:
    """The same, of which only projector and aligner have gradients."""
    model.requires_grad_(False)
    model.downsampling_linear_layer.requires_grad_(True)
    model.bilm.requires_grad_(True)
    return model


def decoded(
    model: OmniBridge, prompt: torch.Tensor, new: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Continue one prompt greedily, keeping what the LLM thought at each token.

    Args:
      prompt: [1, T].
      new: N, tokens to decode; nothing ends them earlier.

    Returns:
      tokens [1, N], and last-layer states [1, N - 1, hidden] of all but the last,
      which is never read.
    """
    out = model.generate(
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=new,
        min_new_tokens=new,
        do_sample=False,
        pad_token_id=0,
        eos_token_id=None,
        output_hidden_states=True,
        return_dict_in_generate=True,
    )
    # The first turn reads the prompt, each later one a token.
    states = [turn[-1] for turn in out.hidden_states[1:]]
    return out.sequences[:, -new:], torch.cat(states, dim=1)


def loss(
    model: OmniBridge,
    mt5: torch.nn.Module,
    prompts: torch.Tensor,
    new: int,
    caption: slice,
    retold: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> tuple[torch.Tensor, torch.Tensor]:
    """The aligner's distance from mT5, and the tokens [B, N] that the LLM decoded.

    Args:
      prompts: [B, T].
      new: N, tokens to decode for each.
      caption: which of them are the caption.
      retold: tokens [1, N] of the LLM to tokens and mask [1, Q] of mT5.
    """
    said, aligned, wanted = [], [], []
    for prompt in prompts.split(1):
        tokens, states = decoded(model, prompt, new)
        memory = model.downsampling_linear_layer(states[:, caption])
        aligned.append(model.bilm(model.bilm.query_tokens, memory))
        read = (
            torch.from_numpy(one).to(prompt) for one in retold(tokens.cpu().numpy())
        )
        with torch.no_grad():
            wanted.append(mt5(*read).last_hidden_state)
        said.append(tokens)
    error = sides.mse(torch.cat(aligned).float(), torch.cat(wanted).float())
    return error, torch.cat(said)
