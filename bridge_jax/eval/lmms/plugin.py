"""lmms-eval's models `bridge_jax`: needs lmms-eval, and nothing else imports it.

    lmms-eval --model bridge_jax --model_args pretrained=shapes-tiny --tasks ...

lmms-eval finds `manifest` through the entry point in setup.py. Every process answers
its own share on its own devices; which share that is, and that none counts twice, is
lmms-eval's affair.
"""

import abc
import functools
import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
from lmms_eval.api.instance import GenerationResult
from lmms_eval.api.model import lmms
from lmms_eval.models.registry_v2 import ModelManifest

from bridge_jax.core import compiler, runtime
from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError
from bridge_jax.eval.lmms import harness
from bridge_jax.inference import load
from bridge_jax.inference.settings import Limits

NAME = "bridge_jax"
# lmms-eval gives them to every model; the devices are jax's (JAX_PLATFORMS).
_ALWAYS_GIVEN = ("device", "max_batch_size")


def manifest() -> ModelManifest:
    """What lmms-eval registers: one name, chat and (--force_simple) simple models."""
    return ModelManifest(
        model_id=NAME,
        chat_class_path=f"{__name__}.{Chat.__name__}",
        simple_class_path=f"{__name__}.{Simple.__name__}",
    )


class Loss(GenerationResult):
    """A pair that lmms-eval 0.7 leaves one: it makes a string of plain tuples."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.text)


class Plugin(lmms):
    """What both kinds of models share.

    Args of `--model_args`, all optional:
      pretrained: folder with weights, work directory or preset.
      dtype: float32 or bfloat16.
      batch_size: rows that run as one batch (lmms-eval's own flag).
      max_new_tokens: of an answer, where the task does not say.
      max_context: most tokens of a prompt and its answer together.
      think: ask single questions to be thought about; the task is given what is
        concluded (`data/thinking.py`).
      seed: of answers that are drawn.
      rules: a table of `sharding/rules.py`.
      data, fsdp, sequence, tensor: the mesh over this process's devices.
    """

    def __init__(
        self,
        pretrained: str = "shapes-tiny",
        dtype: str = "float32",
        batch_size: int | str = 64,
        max_new_tokens: int = 128,
        max_context: int = 8192,
        think: bool = False,
        seed: int = 0,
        rules: str = "fsdp_tp",
        data: int = -1,
        fsdp: int = 1,
        sequence: int = 1,
        tensor: int = 1,
        **others: Any,
    ):
        super().__init__()
        _check(batch_size, others)
        _start()
        self._rank, self._world_size = harness.standing(
            os.environ, jax.process_index(), jax.process_count()
        )
        self.model = load.load(
            str(pretrained),
            {"data": data, "fsdp": fsdp, "sequence": sequence, "tensor": tensor},
            rules=rules,
            dtype=dtype,
            limits=Limits(max_context=max_context, rows=int(batch_size)),
            devices=jax.local_devices(),
        )
        self.max_new_tokens, self.seed = max_new_tokens, seed
        self.think = think

    @property
    def device(self) -> str:
        """Of the tensors by which lmms-eval's processes count their requests."""
        return "cpu"

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Answers in the order of the requests."""
        asked = [self._asked(request) for request in requests]
        choices = harness.choices(
            [given for _, given, _ in asked],
            self.max_new_tokens,
            [name for _, _, name in asked],
        )
        opens = [question for question, _, _ in asked]
        return harness.answers(self.model, opens, choices, self.seed, self.think)

    def loglikelihood(self, requests: Sequence[Any]) -> list[Any]:
        raise BridgeError("likelihoods are asked of simple models: add --force_simple")

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        raise BridgeError(
            "tasks in several rounds are not answered: choose those of generate_until"
        )

    @abc.abstractmethod
    def _asked(self, request: Any) -> tuple[Any, Mapping[str, Any], Any]:
        """(what opens the question, generation_kwargs, a name of what is asked)."""

    def _document(self, task: str, split: str, number: int) -> Any:
        return self.task_dict[task][split][number]


class Chat(Plugin):
    """Asked by messages."""

    is_simple = False

    def _asked(self, request):
        _, to_messages, given, *name = request.args

        def question():
            number, task, split = name
            messages = to_messages(self._document(task, split, number))
            return harness.of_messages(messages)

        return question, given, tuple(name)


class Simple(Plugin):
    """Asked by a text and pictures; the one for likelihoods."""

    is_simple = True

    def _asked(self, request):
        text, given, to_visuals, *name = request.args
        return self._question(text, to_visuals, *name), given, tuple(name)

    def loglikelihood(self, requests: Sequence[Any]) -> list[Any]:
        """(mean loss a token, whether a greedy answer begins so) of each."""
        prompts, words, names = [], [], []
        for request in requests:
            if len(request.args) < 6:
                raise BridgeError("likelihoods without a prompt are not computed")
            text, target, to_visuals, number, task, split = request.args
            if callable(target):
                target = target(self._document(task, split, number))
            prompts.append(self._question(text, to_visuals, number, task, split))
            words.append(target)
            names.append((text, number, task, split))
        found = harness.losses(self.model, prompts, words, names)
        return [Loss(pair) for pair in found]

    def _question(self, text, to_visuals, number, task, split):
        def question():
            document = self._document(task, split, number)
            return harness.of_prompt(text, to_visuals and to_visuals(document))

        return question


@functools.cache
def _start() -> None:
    """Once, however many models a process makes."""
    compiler.tune()  # jax is imported, but has not looked for devices
    runtime.start()


def _check(batch_size: int | str, others: Mapping[str, Any]) -> None:
    known = [name for name in inspect.signature(Plugin).parameters if name != "others"]
    problems = [
        f"no argument {name!r}{suggest(name, known)}"
        for name in others
        if name not in _ALWAYS_GIVEN
    ]
    if not str(batch_size).isdigit() or int(batch_size) < 1:
        problems.append(f"batch_size {batch_size!r} is no whole number from 1 up")
    if problems:
        raise BridgeError(f"model_args: {'; '.join(problems)}")
