"""What `bridge_jax.load` returns: one method a task, everything in batches."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.core.types import Params
from bridge_jax.data import processor as processor_lib
from bridge_jax.data.chat import Message
from bridge_jax.inference import batching, inputs
from bridge_jax.inference import embed as embed_lib
from bridge_jax.inference import explain as explain_lib
from bridge_jax.inference import settings as settings_lib
from bridge_jax.inference import story as story_lib
from bridge_jax.inference.answering import choosing, decode, looking
from bridge_jax.inference.answering import likelihood as likelihood_lib
from bridge_jax.inference.drawing import captions, watching
from bridge_jax.inference.drawing import edit as edit_lib
from bridge_jax.inference.drawing import generate as generate_lib
from bridge_jax.inference.drawing import reconstruct as reconstruct_lib
from bridge_jax.inference.engine import Engine
from bridge_jax.inference.results import Answer, Drawing, Edited, Likelihood
from bridge_jax.models import bundle as bundle_lib
from bridge_jax.sharding import place


@dataclasses.dataclass(frozen=True)
class Model:
    """A bundle with its parameters, ready for use.

    Pictures go in as paths, encoded bytes, PIL images or uint8 arrays [H, W, 3], and
    come out as uint8 arrays. Results keep the order of the requests, and none depends
    on the others in its batch. Mistakes raise BridgeError, all at once, before work.
    """

    engine: Engine
    params: Params

    @classmethod
    def of(
        cls,
        bundle: bundle_lib.Bundle,
        params: Params,
        processor: processor_lib.Processor,
        layout: place.Layout,
        limits: settings_lib.Limits = settings_lib.DEFAULT_LIMITS,
    ) -> "Model":
        """A model from memory. `params` may hold a subset of the bundle's parts."""
        held = {name: part for name, part in bundle.parts.items() if name in params}
        bundle = dataclasses.replace(bundle, parts=held)
        engine = Engine(bundle, processor, layout, limits)
        return cls(engine, engine.place(params))

    def with_params(self, params: Params) -> "Model":
        """The same model with other weights; its compiled programs are kept."""
        return Model(self.engine, self.engine.place(params))

    @property
    def processor(self) -> processor_lib.Processor:
        return self.engine.processor

    @functools.cached_property
    def fingerprint(self) -> str:
        """What an index remembers of the model that made it."""
        return embed_lib.fingerprint(self.params)

    @property
    def parameter_bytes(self) -> dict[str, int]:
        """What the parameters of each part take, all devices' shares together once."""
        return {
            name: sum(leaf.nbytes for leaf in jax.tree.leaves(part))
            for name, part in self.params.items()
        }

    def chat(
        self,
        images: Sequence[Any],
        questions: Sequence[str],
        *,
        think: bool = False,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        seed: int = 0,
        stop: str | Sequence[str] = (),
        logprobs: int | None = None,
    ) -> list[Answer]:
        """Answer questions about pictures.

        Where `Instructions.look_first` says so, the model describes each picture to
        itself before it answers.

        Args:
          images: for each question one picture, a list of pictures, or None.
          questions: N texts; strings that look like control tokens stay text.
          think: ask to say what an answer rests on before the answer, which then is
            its `conclusion`; see `data/thinking.py`.
          max_new_tokens: most tokens of an answer.
          temperature: 0 for the likeliest answer, otherwise it is drawn with `seed`.
          top_k, top_p, min_p: what is drawn from, see `choosing.Choice`.
          repetition_penalty: above 1 says less of what was said before.
          stop: a string, or several, at which an answer ends.
          logprobs: how many alternatives to tell beside each token of an answer, with
            natural log-probabilities; None for none at all.

        Returns:
          N answers.

        >>> from bridge_jax.data import shapes_world
        >>> seen = [shapes_world.Source("test")[i].image for i in range(4)]
        >>> answers = model.chat(seen, ["what color is the background?"] * 4)
        >>> [answer.text for answer in answers]
        ['gray', 'purple', 'brown', 'green']
        """
        questions = inputs.texts(questions, "question")
        inputs.same_length(images, questions, "images and questions")
        self.engine.need("chat", "vlm")
        choice = choosing.make(
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            seed=seed,
            stop=stop,
            logprobs=logprobs,
        )
        choosing.check(choice, self.engine.limits.max_context)
        pictures = self._pictures(images)
        questions = [self.processor.words.asked(one, think) for one in questions]
        conversations = looking.conversations(
            self.engine, self.params, pictures, questions
        )
        numbers = _numbers(pictures, questions)
        return decode.answers(self.engine, self.params, conversations, choice, numbers)

    def number(self, images: Sequence[Any], question: str) -> int:
        """Which random numbers `chat` draws for one question about some pictures."""
        [seen] = self._pictures([list(images)])
        return int(_numbers([seen], [question])[0])

    def describe(self, images: Sequence[Any]) -> list[str]:
        """A caption of each picture, cut to what `generate` can draw as it is."""
        self.engine.need("describe", "vlm")
        pictures = inputs.pictures(images, self.processor)
        return captions.of_pictures(self.engine, self.params, pictures)

    def explain(
        self, images: Sequence[Any], *, top: int = 5
    ) -> list[explain_lib.Explanation]:
        """The words that a llava model's connector sees in each part of a picture.

        Args:
          images: N pictures.
          top: how many words of each visual token.
        """
        return explain_lib.explain(self.engine, self.params, images, top)

    def likelihood(
        self,
        prompts: Sequence[str | None],
        targets: Sequence[str],
        images: Sequence[Any] | None = None,
    ) -> list[Likelihood]:
        """How likely the model is to say `targets`, word for word.

        Args:
          prompts: N texts, each asked as `chat` asks it; or N times None for targets
            that stand alone, as documents, which may be longer than the context.
          targets: N texts. Control tokens, and that which ends an answer, do not count.
          images: for each prompt one picture, a list of pictures, or None.

        Returns:
          N pairs (natural log-probability of the whole target, number of its tokens).
        """
        targets = inputs.texts(targets, "target")
        inputs.same_length(prompts, targets, "prompts and targets")
        self.engine.need("read", "vlm")
        if all(prompt is None for prompt in prompts):
            if any(one is not None for one in images or ()):
                raise BridgeError(
                    "targets without prompts have no images: leave them out"
                )
            return likelihood_lib.of_documents(self.engine, self.params, targets)
        prompts = inputs.texts(prompts, "prompt")
        images = [None] * len(prompts) if images is None else images
        inputs.same_length(images, prompts, "images and prompts")
        pictures = self._pictures(images)
        return likelihood_lib.of_answers(
            self.engine, self.params, pictures, prompts, targets
        )

    def likelihood_of_replies(
        self,
        conversations: Sequence[Sequence[Message]],
        images: Sequence[Any] | None = None,
    ) -> list[Likelihood]:
        """How likely all the assistant's replies in N conversations are, together.

        Args:
          conversations: messages as of `data/chat.py`, each with its replies.
          images: for each conversation the pictures that it mentions, in order.
        """
        images = [None] * len(conversations) if images is None else images
        inputs.same_length(images, conversations, "images and conversations")
        self.engine.need("read", "vlm")
        return likelihood_lib.of_replies(
            self.engine, self.params, self._pictures(images), conversations
        )

    def _pictures(self, images: Sequence[Any]) -> list[tuple[inputs.Picture, ...]]:
        grouped = inputs.grouped(images, self.processor)
        return [tuple(seen) for seen in grouped]

    def rewrite(self, prompts: Sequence[str]) -> list[str]:
        """The captions that `generate` would draw for `prompts`."""
        prompts = inputs.texts(prompts, "prompt")
        self.engine.need("rewrite prompts", "vlm")
        found = captions.rewritten(self.engine, self.params, prompts)
        return [caption.text for caption in found]

    def rewrite_edits(
        self, images: Sequence[Any], instructions: Sequence[str]
    ) -> list[str]:
        """The captions that `edit` would draw."""
        instructions = inputs.texts(instructions, "instruction")
        inputs.same_length(images, instructions, "images and instructions")
        self.engine.need("rewrite edits", "vlm")
        sources = inputs.pictures(images, self.processor)
        found = captions.of_edits(self.engine, self.params, sources, instructions)
        return [caption.text for caption in found]

    def generate(
        self,
        prompts: Sequence[str],
        *,
        images_per_prompt: int = 1,
        previews: watching.Previews | None = None,
        preview_every: int = watching.EVERY,
        **choices: Any,
    ) -> list[Drawing]:
        """Draw pictures of prompts.

        Args:
          prompts: N texts.
          images_per_prompt: n, pictures of each.
          previews: called as `previews(step, steps, images)` after every
            `preview_every` steps but the last ones, in the thread that calls this.
            `images` are uint8 [m, h, w, 3], what the m pictures of the batch that is
            being drawn will be, as far as can be told: N * n in the order of the
            results, or fewer at once above `Limits.images` or of several sizes. The
            longer side has at most 256 pixels (32 latents). Of several candidates for
            a picture (`best_of`) the first is shown. What it raises ends the
            work and comes out of here. The drawn pictures are the same with it or
            without; it costs a small decoding each time, and the device waits for it.
          preview_every: steps; any number runs the same programs.
          **choices: seed, sampler, steps, guidance, rescale, condition, mask, bert,
            rewrite, best_of, negative and size: see `settings.Settings`. The last two
            are for all prompts, or lists of one for each.

        Returns:
          N drawings with `images` uint8 [n, H, W, 3].

        >>> [drawing] = model.generate(["a red ring"], images_per_prompt=4, seed=1)
        >>> drawing.images.shape, str(drawing.images.dtype)
        ((4, 64, 64, 3), 'uint8')
        >>> drawing.caption
        'a large red ring top left, on a brown background'
        >>> def show(step, steps, images):
        ...     print(f"{step} of {steps}: {images.shape}")
        >>> wide = {"size": (32, 48), "negative": "a blue ring", "steps": 4}
        >>> looks = {"previews": show, "preview_every": 2}
        >>> [drawing] = model.generate(["a ring"], **wide, **looks)
        2 of 4: (1, 32, 48, 3)
        >>> drawing.images.shape, drawing.settings.negative
        ((1, 32, 48, 3), 'a blue ring')
        """
        return generate_lib.generate(
            self.engine,
            self.params,
            prompts,
            images_per_prompt,
            choices,
            previews,
            preview_every,
        )

    def edit(
        self,
        images: Sequence[Any],
        instructions: Sequence[str],
        *,
        images_per_edit: int = 1,
        previews: watching.Previews | None = None,
        preview_every: int = watching.EVERY,
        **choices: Any,
    ) -> list[Edited]:
        """Edit pictures.

        Args:
          images: N pictures.
          instructions: N texts, what is to change in each.
          images_per_edit: n, pictures of each edit.
          previews, preview_every: as for `generate`.
          **choices: as for `generate`, and strength; the caption is always written by
            the LLM. A size may be "source", too: the source's aspect ratio, as nearly
            as the decoder allows, with about the area of its own size.

        Returns:
          N edits with `images` uint8 [n, H, W, 3].

        >>> from bridge_jax.data import shapes_world
        >>> source = shapes_world.Source("test")[0].image  # uint8 [64, 64, 3]
        >>> [edited] = model.edit([source], ["set the background color to navy"])
        >>> edited.images.shape
        (1, 64, 64, 3)
        >>> edited.caption
        'a large red circle top left, a large white cross top, on a navy background'
        """
        return edit_lib.edit(
            self.engine,
            self.params,
            images,
            instructions,
            images_per_edit,
            choices,
            previews,
            preview_every,
        )

    def reconstruct(self, images: Sequence[Any]) -> list[np.ndarray]:
        """What the autoencoder alone gives back of pictures.

        Args:
          images: N pictures, their sides multiples of the autoencoder's factor.

        Returns:
          N pictures, uint8 [H, W, 3] of the same sizes.

        >>> from bridge_jax.data import shapes_world
        >>> [picture] = model.reconstruct([shapes_world.Source("test")[0].image])
        >>> picture.shape, str(picture.dtype)
        ((64, 64, 3), 'uint8')
        """
        return reconstruct_lib.reconstruct(self.engine, self.params, images)

    def story(self, made: Drawing | Edited) -> dict[str, str]:
        """How pictures were made, by name: what the command line writes into PNGs."""
        return story_lib.of(made, self.params)

    def embed(
        self,
        images: Sequence[Any] | None = None,
        texts: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Embeddings of pictures or of texts: float32 [N, E], each of length 1.

        >>> from bridge_jax.data import shapes_world
        >>> items = [shapes_world.Source("test")[i] for i in range(4)]
        >>> pictures = model.embed(images=[item.image for item in items])
        >>> texts = model.embed(texts=[item.caption() for item in items])
        >>> pictures.shape, str(pictures.dtype)
        ((4, 128), 'float32')
        >>> (texts @ pictures.T).argmax(axis=1).tolist()  # what each text finds
        [0, 1, 2, 3]
        """
        if (images is None) == (texts is None):
            raise BridgeError("embed takes images or texts: give one of the two")
        if images is not None:
            return embed_lib.images(self.engine, self.params, images)
        return embed_lib.texts(self.engine, self.params, texts)


def _numbers(pictures: Sequence[Any], questions: Sequence[str]) -> np.ndarray:
    names = [
        b"".join(p.pixels.tobytes() for p in seen) + text.encode()
        for text, seen in zip(questions, pictures, strict=True)
    ]
    return batching.numbers(names)[:, 0]
