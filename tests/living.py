"""Tiny models of transformers and diffusers, alive: ours must do as they do.

Needs torch; tests import it after they have made sure of that.
"""

from copy import deepcopy

import numpy as np
import torch
import transformers

from bridge_jax.checkpoint import weights_file
from bridge_jax.convert import plan, run
from bridge_jax.models import build


def error(ours, theirs):
    theirs = theirs.detach().numpy()
    return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


def seeded(make, *args, **kwargs):
    """A model of theirs whose random weights are the same in every run.

    The seed is one whose models, left to talk, do not repeat one token.
    """
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return disturbed(make(*args, **kwargs))


def disturbed(model):
    """Every parameter off its default, norms and biases too."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(0.05 * torch.randn(tensor.shape, generator=generator))
    return model.eval()


class Moved:
    """A model of theirs, written by them, read by us, and written by us."""

    def __init__(self, form, theirs, folder, **loading):
        self.form, self.theirs = form, theirs
        theirs.save_pretrained(folder / "theirs", max_shard_size="60KB")
        run.import_(form, folder / "theirs", folder / "ours")
        run.export(form, folder / "ours", folder / "again", shard_bytes=50_000)
        model = weights_file.read_config(folder / "ours")["model"]
        self.bundle = build.build(model)
        self.params = weights_file.load(folder / "ours")
        again = type(theirs).from_pretrained(folder / "again", **loading)
        self.again = again.eval()
        self.configs = plan.configs(model)

    def apply(self, part, *args, **kwargs):
        return self.bundle.apply(part, self.params, *args, **kwargs)

    def gradients(self, folder):
        """What their last backward pass left, as ours: written by them as if they were
        weights, read by us."""
        copy = deepcopy(self.theirs)
        with torch.no_grad():
            for of_copy, one in zip(copy.parameters(), self.theirs.parameters()):
                of_copy.copy_(torch.zeros_like(one) if one.grad is None else one.grad)
        copy.save_pretrained(folder / "slopes")
        run.import_(self.form, folder / "slopes", folder / "gradients")
        return weights_file.load(folder / "gradients")

    def check_same(self):
        before, after = self.theirs.state_dict(), self.again.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)


def qwen(tied):
    config = transformers.Qwen2VLConfig(
        text_config={
            "vocab_size": 100,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "rms_norm_eps": 1e-6,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [2, 3, 3],
            },
        },
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "num_heads": 2,
            "hidden_size": 64,
            "patch_size": 4,
            "mlp_ratio": 2,
        },
        image_token_id=90,
        video_token_id=91,
        vision_start_token_id=92,
        vision_end_token_id=93,
        tie_word_embeddings=tied,
    )
    config.get_text_config().tie_word_embeddings = tied
    return seeded(transformers.Qwen2VLForConditionalGeneration, config)


def text_model(kind):
    shared = {
        "vocab_size": 60,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    plain = {"rope_type": "default", "rope_theta": 1e6}
    stretched = {
        "rope_type": "llama3",
        "rope_theta": 5e5,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    }
    if kind == "llama3":
        config = transformers.LlamaConfig(
            **shared, rope_parameters=stretched, tie_word_embeddings=False
        )
        return seeded(transformers.LlamaForCausalLM, config)
    config = transformers.Qwen2Config(
        **shared, rope_parameters=plain, tie_word_embeddings=kind == "qwen2_tied"
    )
    return seeded(transformers.Qwen2ForCausalLM, config)
