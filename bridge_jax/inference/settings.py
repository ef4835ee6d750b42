"""What a caller can choose, checked before anything is computed."""

import dataclasses
import math
import numbers
import types
from collections.abc import Mapping
from typing import Any

from bridge_jax.core.config import suggest
from bridge_jax.core.errors import BridgeError
from bridge_jax.diffusion import samplers

CHOICES = {
    "condition": ("queries", "text"),
    "mask": ("all", "caption"),
    "bert": ("empty", "caption"),
}
OF_ONE = ("negative", "size")  # may be lists, with one value a request


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much is taken on at once.

    Attributes:
      max_context: most LLM tokens of a prompt and its answer together.
      rows: conversations, or things to embed, that run as one batch.
      images: pictures of the decoder's own size drawn as one batch; of larger ones
        fewer, so that the pixels are no more.
      stretch: longest side drawn, in sides of the decoder's own size.
    """

    max_context: int = 1024
    rows: int = 64
    images: int = 32
    stretch: int = 4


DEFAULT_LIMITS = Limits()


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a picture is drawn.

    Attributes:
      seed: of all noise; the same request then gives the same picture.
      sampler: a file of `diffusion/samplers`: "dpm", "ddim" or "ddpm".
      steps: denoiser calls a picture.
      guidance: scale of classifier-free guidance; 1 for none.
      rescale: 0 to 1, see `diffusion/guidance.py`.
      condition: "queries" (the aligner's output takes the place of mT5's) or "text"
        (mT5 reads the caption).
      mask: under "queries", which positions the decoder sees: "all", or as many as
        the caption has tokens ("caption", as released).
      bert: whether BERT reads nothing ("empty") or the caption. Empty unless said for
        drawing from queries, which must carry a picture alone; the caption for edits,
        in which no query stands.
      rewrite: whether the LLM writes the caption, or the prompt is the caption.
      negative: what guidance leads away from, in place of no text at all.
      size: (height, width) in pixels, see `inference/drawing/sizes.py`; None for the
        size that the decoder was trained at.
      strength: of an edit, how much of the noise its source is laid under: the share
        of the steps that are taken. 1 is noise alone, 0 the source itself.
      best_of: candidates drawn for each picture; the one that the model itself reads
        best is kept, see `inference/drawing/best_of.py`.

    Raises:
      BridgeError: every value that cannot be, at once.
    """

    seed: int = 0
    sampler: str = "dpm"
    steps: int = 25
    guidance: float = 2.0
    rescale: float = 0.0
    condition: str = "queries"
    mask: str = "all"
    bert: str = "empty"
    rewrite: bool = True
    negative: str = ""
    size: tuple[int, int] | None = None
    strength: float = 1.0
    best_of: int = 1

    def __post_init__(self):
        problems = _problems(self)
        if problems:
            raise BridgeError("; ".join(problems))

    @property
    def start(self) -> int:
        """How many of the steps are left out."""
        # Rounded first: 0.28 * 25 is a little more than 7.
        return self.steps - math.ceil(round(self.steps * self.strength, 6))

    @property
    def sampling(self) -> dict[str, Any]:
        """What the painting program is compiled for."""
        names = ("sampler", "steps", "guidance", "rescale", "size", "start")
        return {name: getattr(self, name) for name in names}


def make(given: Mapping[str, Any], bert: str = "empty") -> Settings:
    """Settings of keyword arguments.

    Args:
      bert: what BERT reads under "queries" where that is not said, or None.

    Raises:
      BridgeError: unknown names, and what `Settings` raises.
    """
    return each(given, 1, bert)[0]


def each(given: Mapping[str, Any], count: int, bert: str = "empty") -> list[Settings]:
    """Settings of `count` requests; as `make`, where some values may be lists.

    Args:
      given: keyword arguments; those of `OF_ONE` are for all, or a list of one each.

    Raises:
      BridgeError: everything that is wrong with any of them, at once.
    """
    known = {field.name: field.default for field in dataclasses.fields(Settings)}
    problems = [
        f"no setting {name!r}{suggest(name, list(known))}"
        for name in given
        if name not in known
    ]
    if problems:
        problems.append(f"there are {', '.join(known)}")
    given = {name: value for name, value in given.items() if name in known}
    if given.get("bert") is None:
        given["bert"] = "caption" if given.get("condition") == "text" else bert
    made = []
    for i in range(max(1, count)):
        own = {name: _own(given[name], i) for name in OF_ONE if name in given}
        made.append(known | given | own)
        problems += _problems(types.SimpleNamespace(**made[-1]))
    problems += [
        f"{name}: {len(given[name])} were given for {count}; give one for all, or one"
        " for one"
        for name in OF_ONE
        if count and _is_list(given.get(name)) and len(given[name]) != count
    ]
    if problems:
        raise BridgeError("; ".join(dict.fromkeys(problems)))
    return [Settings(**fields) for fields in made[:count]]


def _is_list(value: Any) -> bool:
    """Whether it holds values of several requests; (height, width) is one value."""
    if not isinstance(value, list | tuple):
        return False
    return not any(isinstance(one, numbers.Real) for one in value)


def _own(value: Any, i: int) -> Any:
    """The value of request i, where there is one; in the form that is compared."""
    if _is_list(value):
        value = value[i] if i < len(value) else None
    if isinstance(value, list | tuple):
        whole = (isinstance(side, numbers.Integral) for side in value)
        return tuple(map(int, value)) if all(whole) else tuple(value)
    return value


def _problems(values: Any) -> list[str]:
    """A sentence for everything that is wrong; `values` has the fields of Settings."""
    problems = [
        f"{name} {getattr(values, name)!r} is none of {', '.join(known)}"
        f"{suggest(str(getattr(values, name)), known)}"
        for name, known in CHOICES.items()
        if getattr(values, name) not in known
    ]
    problems += seed_problems(values.seed)
    if not (_is_number(values.guidance) and values.guidance >= 0):
        problems.append(f"guidance {values.guidance} is not a number from 0 up")
    for name in ("rescale", "strength"):
        value = getattr(values, name)
        if not (_is_number(value) and 0 <= value <= 1):
            problems.append(f"{name} {value} is not between 0 and 1")
    if isinstance(values.steps, bool) or not isinstance(values.steps, int):
        problems.append(f"steps {values.steps!r} is not a whole number")
    else:
        try:
            samplers.load(values.sampler).timesteps(values.steps)
        except BridgeError as error:
            problems.append(str(error))
    if type(values.best_of) is not int or values.best_of < 1:
        problems.append(f"best_of {values.best_of!r} is not a whole number from 1 up")
    if not isinstance(values.negative, str):
        problems.append(f"negative {values.negative!r:.60} is no text")
    elif values.negative.strip() and values.guidance == 1:
        problems.append("a negative prompt needs guidance other than 1, which is none")
    if not (values.size is None or _is_size(values.size)):
        problems.append(f"size {values.size!r:.60} is not (height, width) in pixels")
    return problems


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(type(side) is int and side > 0 for side in value)
    )


def seed_problems(seed: Any) -> list[str]:
    """A sentence if `seed` is not one."""
    fits = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**32
    return [] if fits else [f"seed {seed!r} is not a whole number from 0 to 2**32 - 1"]
