"""One batch seen through a bundle, lazily; each thing is computed once per trace.

Objectives differ in which part of the computation they need: logits; projected states;
aligner outputs; a denoised latent. A `View` is made inside `loss_fn(params)`, offers
them by name, and traces each at most once. It is never stored or returned.

Batch fields of a stream (all optional, each needed by what reads it):

    vlm*            {tokens, positions [B, 3, T], segments, image_index[, patches,
                    coordinates, patch_segments]}; several, e.g. vlm_image, vlm_text
    memory_index    [B, S] int, positions in T whose states the aligner reads
    memory_mask     [B, S] bool
    replaceable     [B] bool, rows in which learned queries may stand (edits: False)
    t5_tokens/mask  [B, L] the caption for mT5;  bert_tokens/mask [B, Lc] for BERT
    images          [B, h, w, 3] float in [-1, 1], or latents [B, h/f, w/f, C]
    text, image     [B, D], embeddings of a frozen model, for LatentUMM alone
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models import replacement


class View:
    """See the module's text. `rngs[name]` are the random keys of this step."""

    def __init__(
        self,
        bundle: bundle_lib.Bundle,
        params: Mapping[str, Any],
        batch: Mapping[str, Any],
        *,
        rngs: Mapping[str, jax.Array],
        step: jax.Array,
        schedule: replacement.Schedule | None = None,
        train: bool = True,
    ):
        self.bundle, self.params, self.batch = bundle, params, batch
        self.step, self.train = step, train
        self.schedule = schedule or replacement.fixed(1.0)
        self.rngs = rngs
        self._made: dict[str, Any] = {}

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def _dropout(self, name: str) -> dict[str, Any]:
        if not self.train:
            return {"deterministic": True}
        return {"deterministic": False, "rngs": {"dropout": self.rngs[name]}}

    # --- the vision-language model ---------------------------------------------

    def hidden(self, side: str = "vlm") -> jax.Array:
        """Last-layer states of the LLM for batch[side]: [B, T, D]."""

        def make():
            fields = dict(self.batch[side])
            fields["positions"] = jnp.moveaxis(fields["positions"], 1, 0)
            hidden, _ = self.bundle.apply("vlm", self.params, **fields)
            return hidden

        return self._once(f"hidden/{side}", make)

    def logits(self, side: str = "vlm") -> jax.Array:
        """Next-token scores, float32 [B, T, V]."""
        return self._once(
            f"logits/{side}",
            lambda: self.bundle.apply(
                "vlm", self.params, self.hidden(side), method="logits"
            ),
        )

    def memory(self, side: str = "vlm", prefix: str = "memory") -> jax.Array:
        """Projected states at batch[f"{prefix}_index"], 0 where masked: [B, S, D]."""

        def make():
            index = self.batch[f"{prefix}_index"]
            mask = self.batch[f"{prefix}_mask"]
            states = jnp.take_along_axis(self.hidden(side), index[..., None], axis=1)
            projected = self.bundle.apply("projector", self.params, states)
            return jnp.where(mask[..., None], projected, 0.0)

        return self._once(f"memory/{side}/{prefix}", make)

    # --- text encoders ----------------------------------------------------------

    @property
    def mt5_embeddings(self) -> jax.Array:
        """Input embeddings of the caption: [B, L, D]."""
        return self._once(
            "mt5_embeddings",
            lambda: self.bundle.apply(
                "mt5", self.params, self.batch["t5_tokens"], method="embed"
            ),
        )

    @property
    def mt5_states(self) -> jax.Array:
        """mT5 encoder output of the caption: [B, L, D]."""
        return self._once(
            "mt5_states",
            lambda: self.bundle.apply(
                "mt5", self.params, self.batch["t5_tokens"], self.batch["t5_mask"]
            ),
        )

    @property
    def bert_states(self) -> jax.Array:
        """BERT last hidden states: [B, Lc, Dc]."""
        return self._once(
            "bert_states",
            lambda: self.bundle.apply(
                "bert", self.params, self.batch["bert_tokens"], self.batch["bert_mask"]
            ),
        )

    # --- the aligner ------------------------------------------------------------

    @property
    def replace(self) -> jax.Array:
        """Where learned queries stand in for caption embeddings: bool [B, Q]."""

        def make():
            rows, length = self.batch["t5_tokens"].shape
            length = min(length, self.bundle["aligner"].config.queries)
            key = self.rngs["replacement/ratio"]
            ratios = self.schedule.ratios(key, rows, self.step)
            return replacement.sample_mask(
                self.rngs["replacement/mask"], ratios, length, self.batch["replaceable"]
            )

        return self._once("replace", make)

    @property
    def aligned(self) -> jax.Array:
        """The aligner's stand-in for the first Q of `mt5_states`: [B, Q, D].

        Q is the number of learned queries, L as published; captions end there.
        """
        return self._once(
            "aligned",
            lambda: self.bundle.apply(
                "aligner",
                self.params,
                self.mt5_embeddings[:, : self.replace.shape[1]],
                self.memory(),
                self.batch["memory_mask"],
                replace=self.replace,
                **self._dropout("aligner"),
            ),
        )

    def condition(self, name: str, mask: str = "all") -> tuple[jax.Array, jax.Array]:
        """What the decoder reads of the text: states [B, L, D] and mask [B, L].

        Args:
          name: "text" (mT5) or "queries" (the aligner).
          mask: whether it sees "all" of the aligner's positions, or those of the
            "caption" alone; of mT5's always the caption's.
        """
        t5_mask = self.batch["t5_mask"]
        if name == "text":
            return self.mt5_states, t5_mask
        made = jnp.arange(t5_mask.shape[1]) < self.aligned.shape[1]
        absent = t5_mask.shape[1] - self.aligned.shape[1]
        states = jnp.pad(self.aligned, ((0, 0), (0, absent), (0, 0)))
        seen = jnp.ones_like(t5_mask) if mask == "all" else t5_mask
        return states, seen * made[None].astype(seen.dtype)

    # --- latent diffusion -------------------------------------------------------

    @property
    def images(self) -> jax.Array:
        """Pictures in [-1, 1]: float32 [B, h, w, 3]; the stream may bring uint8."""
        images = self.batch["images"]
        if images.dtype != jnp.uint8:
            return images
        return self._once("images", lambda: images.astype(jnp.float32) / 127.5 - 1.0)

    @property
    def latents(self) -> jax.Array:
        """Scaled autoencoder means: [B, h/f, w/f, C]; never differentiated."""
        if "latents" in self.batch:
            return self.batch["latents"]

        def make():
            scale = self.bundle["vae"].config.scaling_factor
            mean, _ = self.bundle.apply(
                "vae", self.params, self.images, method="encode"
            )
            return jax.lax.stop_gradient(mean * scale)

        return self._once("latents", make)

    def denoise(
        self, noisy: jax.Array, timesteps: jax.Array, condition: str
    ) -> jax.Array:
        """Decoder output for condition "text" (mT5) or "queries" (aligner).

        `noisy` [n * B, ...] and `timesteps` hold n consecutive draws of every row.
        """
        states, t5_mask = self.condition(condition)
        return self.bundle.apply(
            "dit",
            self.params,
            noisy,
            timesteps,
            self.bert_states,
            self.batch["bert_mask"],
            states,
            t5_mask,
        )

    # --- retrieval --------------------------------------------------------------

    def embedding(self, modality: str) -> jax.Array:
        """Normalised embedding of "image" or "text": [B, E].

        Reads batch["vlm_image"], image_index/mask and their text counterparts.
        """
        return self._once(f"embedding/{modality}", lambda: self._embed(modality))

    def _embed(self, modality: str) -> jax.Array:
        memory = self.memory(f"vlm_{modality}", modality)
        mask = self.batch[f"{modality}_mask"]
        queries = self.params["retrieval"][f"{modality}_queries"].astype(memory.dtype)
        queries = jnp.broadcast_to(queries[None], (memory.shape[0], *queries.shape))
        out = self.bundle.apply(
            "aligner",
            self.params,
            queries,
            memory,
            mask,
            **self._dropout(f"aligner/{modality}"),
        )
        return self.bundle.apply(
            "retrieval", self.params, out, memory, mask, method=f"embed_{modality}"
        )

    # --- LatentUMM --------------------------------------------------------------

    def latent(self, kind: str) -> jax.Array:
        """phi of the "text", of the "image" or of both ("fused"): [B, Z]."""
        return self._once(
            f"latent/{kind}",
            lambda: self.bundle.apply(
                "latentumm",
                self.params,
                self.batch["text"],
                self.batch["image"],
                kind,
                **self._dropout(f"latentumm/{kind}"),
                method="latent",
            ),
        )

    def generated(self, kind: str) -> jax.Array:
        """What the generator makes of a latent: [B, generated]."""
        return self._once(
            f"generated/{kind}",
            lambda: self.bundle.apply(
                "latentumm", self.params, self.latent(kind), method="generate"
            ),
        )

    def cycle(self, latent: jax.Array, draw: str) -> jax.Array:
        """Latents [B, Z], out by the generator and in again; `draw` names dropout's."""
        return self.bundle.apply(
            "latentumm",
            self.params,
            latent,
            **self._dropout(f"latentumm/cycle/{draw}"),
            method="cycle",
        )
