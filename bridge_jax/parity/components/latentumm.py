"""LatentUMM alone, both of its stages' losses, and its losses in a unified model."""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from bridge_jax.core import term
from bridge_jax.core import weights as tables
from bridge_jax.models.latent_maps import config as maps_config_lib
from bridge_jax.models.latent_maps import weights as maps_weights
from bridge_jax.models.latent_maps.model import Maps
from bridge_jax.models.latentumm import config as config_lib
from bridge_jax.models.latentumm import weights
from bridge_jax.models.latentumm.model import LatentUMM
from bridge_jax.objectives import consistency
from bridge_jax.parity.comparison import COMPOSED, EXACT, Value
from bridge_jax.parity.fixture import Fixture

LEFT_OUT: dict[str, str] = {}
UNIFIED = "bagel"  # the unified model that the losses were recorded in
TARGET_WEIGHTS = "lg"  # "lg0.3": loss_gemini_target counts 0.3
PREFERENCE_WEIGHT = 0.1


def tags(fixture: Fixture) -> list[str]:
    """The stand-alone models in the fixture."""
    return [name for name, given in fixture.config.items() if isinstance(given, dict)]


def config(fixture: Fixture, tag: str) -> config_lib.Config:
    c = fixture.config[tag]
    return config_lib.Config(
        text=c["text_dim"],
        image=c["image_dim"],
        latent=c["latent_dim"],
        hidden=c["hidden_dim"],
        out=c["output_dim"],
        layers=c["transformer_layers"],
        heads=c["transformer_heads"],
        eps=fixture.config["ln_eps"],
    )


def maps_config(fixture: Fixture) -> maps_config_lib.Config:
    return maps_config_lib.Config(
        **fixture.sizes(hidden="H", embedding="E", inner="mh")
    )


def rules(fixture: Fixture) -> list[list[tables.Rule]]:
    alone = [
        list(weights.rules(config(fixture, tag), prefix=f"{tag}."))
        for tag in tags(fixture)
    ]
    maps = maps_weights.rules(maps_config(fixture), prefix=f"{UNIFIED}.")
    return [*alone, list(maps)]


def compute(fixture: Fixture) -> Iterator[Value]:
    for tag in tags(fixture):
        yield from _alone(fixture, tag)
    yield from _unified(fixture)


def _mean(pair: term.Pair) -> jax.Array:
    return pair[0] / pair[1]


# --- the stand-alone model ------------------------------------------------------


def _alone(fixture: Fixture, tag: str) -> Iterator[Value]:
    sizes = config(fixture, tag)
    table = weights.rules(sizes)
    params = tables.to_flax(table, fixture.below(f"w/{tag}."))
    pair = [jnp.asarray(fixture[f"in/{tag}/{n}_emb"]) for n in ("text", "image")]
    model = LatentUMM(sizes)
    for name, value in jax.jit(functools.partial(_latents, model))(
        pair, params
    ).items():
        yield Value(f"out/{tag}/{name}", value, COMPOSED)
    # One program a stage: what settings differ in are its arguments.
    steps = {
        stage: jax.jit(
            jax.value_and_grad(functools.partial(losses, model, pair), has_aux=True)
        )
        for stage, losses in (("stage1", _stage1), ("stage2", _stage2))
    }
    for name in _settings(fixture, tag):
        yield from _stage(fixture, tag, name, steps, params, table)


def _settings(fixture: Fixture, tag: str) -> list[str]:
    """ "stage1/text/lg0.3", "stage2/fused", ...: where losses were recorded."""
    names = (n.rpartition("/")[0] for n in fixture.below(f"out/{tag}/"))
    return [name for name in dict.fromkeys(names) if name]


def _latents(model, pair, params) -> dict[str, jax.Array]:
    out = model.apply({"params": params}, *pair)
    found = {
        "z_text": out["text"],
        "z_image": out["image"],
        "z_student": out["fused"],
        "z_teacher": (out["text"] + out["image"]) / 2,
        "text_image_cosine": consistency.cosine(out["text"], out["image"]),
    }
    for mode in ("text", "fused"):
        made = model.apply({"params": params}, out[mode], method="generate")
        found[f"generated_from_{mode}"] = made
        again = model.apply({"params": params}, made, method="reenter")
        found[f"z_hat_{mode}"] = again
    return found


def _stage(fixture, tag, name, steps, params, table) -> Iterator[Value]:
    stage, mode, *target = name.split("/")
    where = f"out/{tag}/{name}"
    weight = float(target[0].removeprefix(TARGET_WEIGHTS)) if target else 0.0
    given = [weight]
    if stage == "stage2":
        given = [fixture[f"in/{tag}/{name}/eps"], fixture.config["std"]]
    (total, ours), gradients = steps[stage](params, mode == "fused", *given)
    for key, value in {"loss_total": total, **ours}.items():
        if f"{where}/{key}" in fixture:
            yield Value(f"{where}/{key}", value, COMPOSED)
    if weight == 0.0:  # gradients were recorded without the target
        back = tables.to_reference(table, gradients)
        for tensor in fixture.below(f"grad/{tag}/{stage}/{mode}/"):
            recorded = f"grad/{tag}/{stage}/{mode}/{tensor}"
            yield _gradient(recorded, back[tensor], fixture[recorded])


def _gradient(name: str, ours, recorded: np.ndarray) -> Value:
    """A part that took no part has no gradient, on either side."""
    return Value(name, ours, COMPOSED, largest=None if recorded.any() else 1.0)


def _shared(model, pair, params, fused):
    """(latents by name, the latent that goes round, what is made of it, losses)."""
    out = model.apply({"params": params}, *pair)
    latent = jnp.where(fused, out["fused"], out["text"])
    made = model.apply({"params": params}, latent, method="generate")
    again = model.apply({"params": params}, made, method="reenter")
    found = {
        "loss_modal": _mean(consistency.distance(out["text"], out["image"])),
        "loss_task": _mean(consistency.distance(latent, again)),
        "latent_cosine": jnp.mean(consistency.cosine(out["text"], out["image"])),
    }
    return out, latent, made, found


def _stage1(model, pair, params, fused, weight):
    out, _, made, found = _shared(model, pair, params, fused)
    target = jnp.float32(0.0)
    if made.shape == pair[1].shape:  # what is generated may have another width
        target = _mean(consistency.distance(made, pair[1]))
    # Without a weight, zero was recorded.
    found["loss_gemini_target"] = jnp.where(weight > 0, target, 0.0)
    for modality in ("text", "image"):
        lengths = jnp.linalg.norm(out[modality], axis=-1)
        found[f"latent_norm_{modality}"] = jnp.mean(lengths)
    total = found["loss_modal"] + found["loss_task"] + weight * target
    return total, found


def _stage2(model, pair, params, fused, noise, sigma):
    _, latent, _, found = _shared(model, pair, params, fused)

    def cycle(z):
        return model.apply({"params": params}, z, method="cycle")

    disturbed = consistency.rollouts(latent, noise, sigma)
    back = jax.vmap(cycle)(disturbed)
    scores = consistency.cosine(jnp.broadcast_to(latent[None], back.shape), back)
    found |= {
        "loss_pref": _mean(consistency.spread(scores)),
        "rollout_z_hats": back,
        "rollout_scores": scores,
        "score_best": jnp.mean(jnp.max(scores, axis=0)),
        "score_worst": jnp.mean(jnp.min(scores, axis=0)),
    }
    found["score_margin"] = found["score_best"] - found["score_worst"]
    total = found["loss_modal"] + found["loss_task"]
    return total + PREFERENCE_WEIGHT * found["loss_pref"], found


# --- inside a unified model -----------------------------------------------------


def _unified(fixture: Fixture) -> Iterator[Value]:
    maps = Maps(maps_config(fixture))
    table = maps_weights.rules(maps.config)
    params = tables.to_flax(table, fixture.below(f"w/{UNIFIED}."))
    cases = fixture.below(f"out/{UNIFIED}/")
    for case in dict.fromkeys(name.split("/")[0] for name in cases):
        yield from _case(fixture, case, maps, params, table)


def _case(fixture, case, maps, params, table) -> Iterator[Value]:
    where = f"{UNIFIED}/{case}"
    valid = np.ones(len(fixture[f"in/{UNIFIED}/sample_lens"]), bool)
    noise = fixture.arrays.get(f"in/{where}/eps")
    if noise is not None:  # recorded without: no validity given, and one rollout
        valid = fixture[f"in/{UNIFIED}/valid_mask"]
    rows, text, image = _pooled(fixture, valid)
    teacher = [fixture[f"in/{UNIFIED}/{m}_embeddings"][rows] for m in ("text", "image")]
    mixes = {"image": image, "fused": (text + image) / 2}
    losses = functools.partial(
        _maps_losses,
        maps,
        (text, image),
        mixes.get(case, text),
        teacher,
        noise,
        fixture.config["std"],
    )
    step = jax.jit(jax.value_and_grad(losses, has_aux=True))
    (_, ours), gradients = step(params)
    ours |= {"z_text": text, "z_image": image}
    for name, value in ours.items():
        if f"out/{where}/{name}" in fixture:
            yield Value(f"out/{where}/{name}", value, COMPOSED)
    if f"out/{where}/valid_ids" in fixture:
        yield Value(f"out/{where}/valid_ids", np.array(rows), EXACT)
    back = tables.to_reference(table, gradients)
    for tensor in fixture.below(f"grad/{where}/"):
        yield Value(f"grad/{where}/{tensor}", back[tensor], COMPOSED)


def _maps_losses(maps, pair, hidden, teacher, noise, sigma, params):
    def run(states):
        return maps.apply({"params": params}, states)

    text, image = (run(states)[0] for states in pair)
    targets = [
        _mean(consistency.distance(*both))
        for both in zip((text, image), teacher, strict=True)
    ]
    found = {
        "latentumm_modal": _mean(consistency.distance(text, image)),
        "latentumm_task": _mean(consistency.distance(hidden, run(hidden)[1])),
        "latentumm_target": sum(targets) / len(targets),
    }
    noise = jnp.zeros((1, *hidden.shape)) if noise is None else jnp.asarray(noise)
    disturbed = consistency.rollouts(hidden, noise, sigma)
    back = jax.vmap(lambda states: run(states)[1])(disturbed)
    scores = consistency.cosine(jnp.broadcast_to(hidden[None], back.shape), back)
    found["latentumm_pref"] = _mean(consistency.spread(scores))
    return sum(found.values()), found | {"scores": scores}


def _pooled(fixture: Fixture, valid: np.ndarray):
    """(rows, text [n, H], image [n, H]): mean hidden states of a packed batch.

    Rows without text or image are left out. The image is what is generated, or what
    is seen where nothing is. Text counts up to the token before the image's marker, or
    everywhere if there is none.
    """
    states = fixture[f"in/{UNIFIED}/last_hidden_state"]
    ends = np.cumsum(fixture[f"in/{UNIFIED}/sample_lens"])
    kinds = {
        kind: fixture[f"in/{UNIFIED}/packed_{kind}_indexes"]
        for kind in ("text", "vae_token", "vit_token")
    }
    rows, texts, images = [], [], []
    for row, end in enumerate(ends):
        start = ends[row - 1] if row else 0
        own = {k: i[(i >= start) & (i < end)] for k, i in kinds.items()}
        shown = own["vae_token"] if own["vae_token"].size else own["vit_token"]
        if not (valid[row] and shown.size and own["text"].size):
            continue
        before = own["text"][own["text"] < shown.min() - 1]
        text = before if before.size else own["text"]
        rows.append(row)
        texts.append(states[text].mean(0))
        images.append(states[shown].mean(0))
    return rows, jnp.asarray(np.stack(texts)), jnp.asarray(np.stack(images))
