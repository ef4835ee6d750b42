"""One batch seen through a bundle, lazily; each thing is computed once per trace.

Objectives differ in which part of the computation they need: logits; projected states;
aligner outputs; a denoised latent. A `View` is made inside `loss_fn(params)`, offers
them by name, and traces each at most once. It is never stored or returned.

Batch fields of a stream (all optional, each needed by what reads it):

    vlm*            {tokens, positions [B, 3, T], segments, image_index[, patches,
                    coordinates, patch_segments]}; several, e.g. vlm_image, vlm_text
    memory_index    [B, S] int, positions in T whose states the aligner reads
    memory_mask     [B, S] bool
    memory_states   [B, S, D], those states, where they were computed before
    replaceable     [B] bool, rows in which learned queries may stand (edits: False)
    t5_tokens/mask  [B, L] the caption for mT5;  bert_tokens/mask [B, Lc] for BERT
    t5_states       [B, L, D], what mT5 makes of it, where it was computed before
    images          [B, h, w, 3] float in [-1, 1], or latents [B, h/f, w/f, C]
    text, image     [B, D], embeddings of a frozen model, for LatentUMM
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, Num, Shaped

from bridge_jax.core import rng
from bridge_jax.core.types import Array
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.models import latent_spaces, replacement


def as_called(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A batch's vlm {...} as its model takes it: positions by axis first, [3, B, T]."""
    return {**fields, "positions": jnp.moveaxis(fields["positions"], 1, 0)}


class View:
    """See the module's text. `rngs[name]` are the random keys of this step."""

    def __init__(
        self,
        bundle: bundle_lib.Bundle,
        params: Mapping[str, Any],
        batch: Mapping[str, Any],
        *,
        rngs: rng.Streams,
        step: jax.Array,
        schedule: replacement.Schedule | None = None,
        train: bool = True,
    ):
        self.bundle, self.params, self.batch = bundle, params, batch
        self.step, self.train = step, train
        self.schedule = schedule or replacement.fixed(1.0)
        self.rngs = rngs
        self._made: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` makes, made when first asked for."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    def dropout(self, name: str) -> dict[str, Any]:
        """Keywords of a module with dropout; `name` is the stream of its masks."""
        if not self.train:
            return {"deterministic": True}
        return {"deterministic": False, "rngs": {"dropout": self.rngs[name]}}

    # --- the vision-language model ---------------------------------------------

    def hidden(
        self, side: str = "vlm", at: Int[Array, "B S"] | None = None
    ) -> Float[Array, "B S D"]:
        """Last-layer states of the LLM for batch[side]: [B, T, D].

        Args:
          at: [B, S] int, the positions in T whose states are wanted, None for all. If
            all were asked for before, they are taken from those.
        """
        if at is None:
            return self.once(f"hidden/{side}", lambda: self._read(side))
        if f"hidden/{side}" in self._made:
            return jnp.take_along_axis(self.hidden(side), at[..., None], axis=1)
        return self._read(side, at)

    def _read(self, side: str, at: jax.Array | None = None) -> jax.Array:
        fields = as_called(self.batch[side])
        return self.bundle.apply("vlm", self.params, **fields, at=at)[0]

    def logits(self, hidden: Float[Array, "B S D"]) -> Float[Array, "B S V"]:
        """Next-token scores of states [B, S, D], all or some: float32 [B, S, V]."""
        return self.bundle.apply("vlm", self.params, hidden, method="logits")

    def states(
        self, side: str = "vlm", prefix: str = "memory"
    ) -> Float[Array, "B S D"]:
        """The LLM's states at batch[f"{prefix}_index"]: [B, S, D]."""
        if f"{prefix}_states" in self.batch:
            return self.batch[f"{prefix}_states"]
        index = self.batch[f"{prefix}_index"]
        name = f"states/{side}/{prefix}"
        return self.once(name, lambda: self.hidden(side, at=index))

    def memory(
        self, side: str = "vlm", prefix: str = "memory"
    ) -> Float[Array, "B S D"]:
        """Projected states at batch[f"{prefix}_index"], 0 where masked: [B, S, D]."""

        def make():
            mask = self.batch[f"{prefix}_mask"]
            states = self.states(side, prefix)
            projected = self.bundle.apply("projector", self.params, states)
            return jnp.where(mask[..., None], projected, 0.0)

        return self.once(f"memory/{side}/{prefix}", make)

    # --- text encoders ----------------------------------------------------------

    @property
    def mt5_embeddings(self) -> Float[Array, "B L D"]:
        """Input embeddings of the caption: [B, L, D]."""
        return self.once(
            "mt5_embeddings",
            lambda: self.bundle.apply(
                "mt5", self.params, self.batch["t5_tokens"], method="embed"
            ),
        )

    @property
    def mt5_states(self) -> Float[Array, "B L D"]:
        """mT5 encoder output of the caption: [B, L, D]."""
        if "t5_states" in self.batch:
            return self.batch["t5_states"]
        return self.once(
            "mt5_states",
            lambda: self.bundle.apply(
                "mt5", self.params, self.batch["t5_tokens"], self.batch["t5_mask"]
            ),
        )

    @property
    def bert_states(self) -> Float[Array, "B T D"]:
        """BERT last hidden states: [B, Lc, Dc]."""
        return self.once(
            "bert_states",
            lambda: self.bundle.apply(
                "bert", self.params, self.batch["bert_tokens"], self.batch["bert_mask"]
            ),
        )

    # --- the aligner ------------------------------------------------------------

    @property
    def replace(self) -> Bool[Array, "B Q"]:
        """Where learned queries stand in for caption embeddings: bool [B, Q]."""

        def make():
            rows, length = self.batch["t5_tokens"].shape
            length = min(length, self.bundle["aligner"].config.queries)
            key = self.rngs["replacement/ratio"]
            ratios = self.schedule.ratios(key, rows, self.step)
            return replacement.sample_mask(
                self.rngs["replacement/mask"], ratios, length, self.batch["replaceable"]
            )

        return self.once("replace", make)

    @property
    def aligned(self) -> Float[Array, "B Q D"]:
        """The aligner's stand-in for the first Q of `mt5_states`: [B, Q, D].

        Q is the number of learned queries, L as published; captions end there.
        """
        return self.once(
            "aligned",
            lambda: self.bundle.apply(
                "aligner",
                self.params,
                self.mt5_embeddings[:, : self.replace.shape[1]],
                self.memory(),
                self.batch["memory_mask"],
                replace=self.replace,
                **self.dropout("aligner"),
            ),
        )

    def condition(
        self, name: str, mask: str = "all"
    ) -> tuple[Float[Array, "B L D"], Shaped[Array, "B L"]]:
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
    def images(self) -> Float[Array, "B H W C"]:
        """Pictures in [-1, 1]: float32 [B, h, w, 3]; the stream may bring uint8."""
        images = self.batch["images"]
        if images.dtype != jnp.uint8:
            return images
        return self.once("images", lambda: images.astype(jnp.float32) / 127.5 - 1.0)

    @property
    def latents(self) -> Float[Array, "B h w C"]:
        """Scaled autoencoder means: [B, h/f, w/f, C]; never differentiated."""
        if "latents" in self.batch:
            return self.batch["latents"]

        def make():
            scale = self.bundle["vae"].config.scaling_factor
            mean, _ = self.bundle.apply(
                "vae", self.params, self.images, method="encode"
            )
            return jax.lax.stop_gradient(mean * scale)

        return self.once("latents", make)

    def denoise(
        self,
        noisy: Float[Array, "B h w C"],
        timesteps: Num[Array, " B"],
        condition: str,
    ) -> Float[Array, "B h w O"]:
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

    def embedding(self, modality: str) -> Float[Array, "B E"]:
        """Normalised embedding of "image" or "text": [B, E].

        Reads batch["vlm_image"], image_index/mask and their text counterparts.
        """
        return self.once(f"embedding/{modality}", lambda: self._embed(modality))

    def _embed(self, modality: str) -> jax.Array:
        return self.bundle.apply(
            "retrieval",
            self.params,
            self.looked_for(modality),
            self.memory(f"vlm_{modality}", modality),
            self.batch[f"{modality}_mask"],
            method=f"embed_{modality}",
        )

    def looked_for(self, modality: str) -> Float[Array, "B Q D"]:
        """What retrieval's queries find in "image" or "text": [B, Q, D]."""

        def make():
            memory = self.memory(f"vlm_{modality}", modality)
            queries = self.params["retrieval"][f"{modality}_queries"]
            shape = (memory.shape[0], *queries.shape)
            queries = jnp.broadcast_to(queries.astype(memory.dtype)[None], shape)
            return self.bundle.apply(
                "aligner",
                self.params,
                queries,
                memory,
                self.batch[f"{modality}_mask"],
                **self.dropout(f"aligner/{modality}"),
            )

        return self.once(f"looked_for/{modality}", make)

    def shown(self, images: Float[Array, "B H W 3"]) -> "View":
        """A view of other pictures in place of batch["vlm_image"]'s.

        Args:
          images: [n * B, h, w, 3] in [-1, 1], n consecutive ones for every row.
        """
        copies = images.shape[0] // self.batch["image_index"].shape[0]

        def again(leaf: jax.Array) -> jax.Array:
            return jnp.repeat(leaf, copies, axis=0)

        names = ("vlm_image", "image_index", "image_mask")
        batch = jax.tree.map(again, {name: self.batch[name] for name in names})
        length = batch["vlm_image"]["patches"].shape[1]
        batch["vlm_image"]["patches"] = self.bundle.apply(
            "vlm", self.params, images, length, method="to_patches"
        )
        return View(
            self.bundle,
            self.params,
            batch,
            rngs=self.rngs.below("shown"),
            step=self.step,
            train=self.train,
        )

    # --- LatentUMM --------------------------------------------------------------

    def space(self, name: str) -> latent_spaces.Space:
        """The latent space of that name, see `latent_spaces.SPACES`."""
        make = latent_spaces.SPACES[name]
        return self.once(f"space/{name}", lambda: make(self))
