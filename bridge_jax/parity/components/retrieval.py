"""Projector, aligner, pooling and contrastive losses, as the reference ran them."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import weights as tables
from bridge_jax.models.bitransformer import config as aligner_config
from bridge_jax.models.bitransformer import model as aligner_model
from bridge_jax.models.bitransformer import weights as aligner_table
from bridge_jax.models.projector import config as projector_config
from bridge_jax.models.projector import model as projector_model
from bridge_jax.models.projector import weights as projector_table
from bridge_jax.models.retrieval import config as config_lib
from bridge_jax.models.retrieval import model as model_lib
from bridge_jax.models.retrieval import pool
from bridge_jax.models.retrieval import weights as table
from bridge_jax.objectives import contrastive
from bridge_jax.parity.comparison import COMPOSED, EXACT, SINGLE, Value
from bridge_jax.parity.fixture import Fixture

LEFT_OUT = {
    "in/*/llm_hidden_*": "the parts of it that are read are given as masked_*_part",
    "in/*/labels": "the masks that follow from it are given",
    "in/*/image_first_index": "the window that starts there is given",
    "in/*/n_*": "the masks say it",
}
# A shift of all keys alike changes no softmax: both sides are rounding.
ZERO_GRADIENT, ROUNDING = "norm1_k.bias", 1e-6
STAGES = {
    # name of the reference -> (modality, our stage)
    "image_qwen2vl_states": ("image", "memory"),
    "text_qwen2vl_states": ("text", "memory"),
    "vision_ar_logits": ("image", "aligned"),
    "language_ar_logits": ("text", "aligned"),
    "vision_embeds": ("image", "pooled"),
    "text_embeds": ("text", "pooled"),
    "backbone_image_embeds": ("image", "backbone_pooled"),
    "backbone_text_embeds": ("text", "backbone_pooled"),
    "image_itc": ("image", "embedding"),
    "text_itc": ("text", "embedding"),
}
LOSSES = {"loss_t2i": "t2i", "loss_i2t": "i2t", "loss_t2t": "t2t"}
RECALLS = {f"recall_r{k}": f"i2t_recall_at_{k}" for k in (1, 5, 10)}


class Parts:
    """The three parts of a fixture, with their tables and parameters."""

    def __init__(self, fixture: Fixture):
        sizes = fixture.sizes(
            layers="layers",
            d_model="d",
            heads="heads",
            d_kv="d_kv",
            d_ff="d_ff",
            queries="nq",
        )
        sizes |= fixture.given(buckets="buckets", max_distance="maxd", eps="eps")
        self.aligner = aligner_config.Config(
            cross_layers=tuple(fixture.config["ca"]), **sizes
        )
        self.projector = projector_config.Config(
            **fixture.sizes(hidden="H", d_model="d")
        )
        self.heads = config_lib.Config(
            mask_padding=False,  # as the reference
            **fixture.given(eps="ln_eps"),
            **fixture.sizes(
                d_model="d",
                out="out",
                pool_heads="pheads",
                image_queries="Li",
                text_queries="Lt",
            ),
        )
        self.tables = {
            "projector": projector_table.rules(self.projector),
            "aligner": aligner_table.rules(self.aligner),
            "retrieval": table.rules(self.heads),
        }

    def embed(self, params, modality, states, mask):
        """Named stages of one modality, from language-model states [B, S, H]."""
        projector = projector_model.Projector(self.projector)
        memory = projector.apply({"params": params["projector"]}, states, mask)
        own = params["retrieval"]
        queries = own[f"{modality}_queries"][None]
        queries = jnp.broadcast_to(queries, (len(states), *queries.shape[1:]))
        aligner = aligner_model.BiTransformer(self.aligner)
        aligned = aligner.apply({"params": params["aligner"]}, queries, memory, mask)
        embedding = model_lib.RetrievalHeads(self.heads).apply(
            {"params": own}, aligned, memory, mask, method=f"embed_{modality}"
        )
        stages = {"memory": memory, "aligned": aligned, "embedding": embedding}
        for block, given in (("pool", aligned), ("backbone_pool", memory)):
            pooled = pool.AttentionPool(self.heads).apply(
                {"params": own[f"{modality}_{block}"]}, given
            )
            stages[f"{block}ed"] = pooled
        return stages


def rules(fixture: Fixture) -> list[list[tables.Rule]]:
    return list(Parts(fixture).tables.values())


def compute(fixture: Fixture) -> Iterator[Value]:
    parts = Parts(fixture)
    params = {
        part: tables.to_flax(rules, fixture.weights, strict=False)
        for part, rules in parts.tables.items()
    }

    def loss(params, given, ids):
        stages = {m: parts.embed(params, m, *given[m]) for m in given}
        total, weight, metrics = contrastive.multi_positive_infonce(
            stages["text"]["embedding"],
            stages["image"]["embedding"],
            ids,
            params["retrieval"]["logit_scale"],
        )
        return total / weight, (stages, metrics)

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    for case in fixture.cases("out"):
        given = {m: _given(fixture, case, m) for m in ("image", "text")}
        ids = jnp.asarray(fixture[f"in/{case}/image_ids"])
        (value, (stages, metrics)), gradients = step(params, given, ids)
        yield Value(f"out/{case}/loss", value, COMPOSED)
        yield from _stages(fixture, case, stages)
        yield from _losses(case, metrics)
        yield from _similarities(case, stages, ids, params["retrieval"])
        yield from _gradients(fixture, case, parts, gradients)


def _given(fixture, case, modality):
    mask = fixture[f"in/{case}/{modality}_mask"]
    return jnp.asarray(fixture[f"in/{case}/masked_{modality}_part"]), jnp.asarray(mask)


def _stages(fixture, case, stages) -> Iterator[Value]:
    for name, (modality, stage) in STAGES.items():
        recorded = fixture[f"out/{case}/{name}"]
        ours = stages[modality][stage]
        if stage.endswith("pooled") and _of_length_one(recorded):
            ours = model_lib.normalise(ours)
        yield Value(f"out/{case}/{name}", ours, COMPOSED)


def _of_length_one(rows: np.ndarray) -> bool:
    return bool(np.allclose(np.linalg.norm(rows, axis=-1), 1.0, atol=1e-3))


def _losses(case, metrics) -> Iterator[Value]:
    for name, ours in LOSSES.items():
        total, count = metrics[ours]
        yield Value(f"out/{case}/{name}", total / jnp.maximum(count, 1), COMPOSED)
    for name, ours in RECALLS.items():
        total, count = metrics[ours]
        yield Value(f"out/{case}/{name}", total / count, SINGLE)


def _similarities(case, stages, ids, heads) -> Iterator[Value]:
    """What stands between the embeddings and the losses."""
    text, image = stages["text"]["embedding"], stages["image"]["embedding"]
    scale = jnp.exp(heads["logit_scale"])
    same = (ids[:, None] == ids[None, :]).astype(jnp.float32)
    others = same * (1.0 - jnp.eye(len(ids)))
    targets = same / same.sum(1, keepdims=True)
    logits = {
        "logits_per_text": text @ image.T,
        "logits_per_image": image @ text.T,
        "logits_text_text": text @ text.T,
    }
    for name, cosines in logits.items():
        yield Value(f"out/{case}/{name}", scale.reshape(()) * cosines, COMPOSED)
    yield Value(f"out/{case}/sim_targets", targets, SINGLE)
    yield Value(f"out/{case}/pos_idx_t2t", others, EXACT)
    yield Value(f"out/{case}/valid_rows_mask", others.sum(1) > 0, EXACT)
    yield Value(f"out/{case}/logit_scale", scale, SINGLE)
    for modality in ("image", "text"):
        alpha = jax.nn.sigmoid(heads[f"{modality}_alpha"])
        yield Value(f"out/{case}/alpha_{modality}", alpha, SINGLE)


def _gradients(fixture, case, parts, gradients) -> Iterator[Value]:
    ours = {}
    for part, rules in parts.tables.items():
        ours |= tables.to_reference(rules, gradients[part])
    for name in fixture.below(f"grad/{case}/"):
        value = Value(f"grad/{case}/{name}", ours[name], COMPOSED)
        if name.endswith(ZERO_GRADIENT):
            value = Value(value.name, ours[name], ROUNDING, largest=1.0)
        yield value
