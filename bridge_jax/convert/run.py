"""Import and export, tensor by tensor."""

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from bridge_jax.checkpoint import weights_file
from bridge_jax.convert import companions, plan, tensors, writer
from bridge_jax.core import config as config_lib
from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError

SHARD_BYTES = 5 * 10**9  # as transformers cuts
CONFIG = "config.json"


def import_(name: str, source: Path, target: Path) -> str:
    """Read a released layout and write ours: model.safetensors and config.json.

    What is in `target` stays as it is until all is on the disk, and then goes. Tensors
    keep their dtype.

    Returns:
      One line that says what was written.

    Raises:
      BridgeError: no such format, files that are not what they say, or every tensor
        that does not fit.
    """
    form = plan.named(name)
    _check_apart(source, target)
    found = open_source(form, source)
    about = read_about(form, source)
    try:
        model = form.read(about, found.shapes)
        moves, ignored = plan.importing(form, model, found)
    except BridgeError as error:
        raise BridgeError(f"{source} as {name}: {error}") from None
    target.mkdir(parents=True, exist_ok=True)
    say = _Progress(moves, f"reading {name}")
    specs = {move.target: move.spec for move in moves}
    file = target / weights_file.WEIGHTS
    with writer.Writer(file, specs, {"format": "flax"}) as out:
        for move in say:
            out.write(move.target, plan.read(move, found, importing=True))
        out.finish()
        (target / CONFIG).unlink(missing_ok=True)
        out.rename()
    told = {
        "model": plan.description(model),
        "processor": _processor(form, model, source, target),
        "source": {"format": name, "config": about},
    }
    _write_json(target / weights_file.CONFIG, told)
    left = f", {len(ignored)} left out" if ignored else ""
    return f"{target}: {', '.join(model)}; {len(moves)} tensors{left}; {say.speed()}"


def export(
    name: str, source: Path, target: Path, shard_bytes: int = SHARD_BYTES
) -> str:
    """Read our layout and write a released one, in shards with an index if large.

    Raises:
      BridgeError: no such format, or a model that does not fit it.
    """
    form = plan.named(name)
    _check_apart(source, target)
    found = tensors.open_folder(source)
    about = weights_file.read_config(source)
    model = about.get("model")
    if not isinstance(model, Mapping):
        raise BridgeError(f"{source / CONFIG} describes no model")
    moves = plan.exporting(form, model, found)
    parts = {name.split("/")[0] for move in moves for name in move.sources}
    configs = plan.configs({part: model[part] for part in model if part in parts})
    came_with = about.get("source", {})
    original = came_with.get("config", {}) if came_with.get("format") == name else {}
    target.mkdir(parents=True, exist_ok=True)
    say = _Progress(moves, f"writing {name}")
    if hasattr(form, "save"):
        arrays = {m.target: plan.read(m, found, importing=False) for m in say}
        file = form.save(target, arrays, form.write(configs, original))
        return f"{target}: {len(moves)} tensors in {file}"
    files = _write_shards(form, target, moves, found, shard_bytes, say)
    if hasattr(form, "TOKENIZER"):
        companions.copy(source / companions.HOME / form.TOKENIZER, target)
    _write_json(target / CONFIG, form.write(configs, original))
    return f"{target}: {len(moves)} tensors in {files} file(s); {say.speed()}"


def _processor(
    form: ModuleType, model: Mapping[str, Any], source: Path, target: Path
) -> dict[str, Any]:
    """How text and pictures become arrays, with the tokenizer that came along."""
    name = getattr(form, "TOKENIZER", None)
    fields = form.processor(plan.configs(model)) if hasattr(form, "processor") else {}
    if name and companions.copy(source, target / companions.HOME / name):
        fields["tokenizers"] = companions.HOME
    return fields


def open_source(form: ModuleType, source: Path) -> tensors.Tensors:
    """The tensors of a folder in that format, none read yet."""
    if hasattr(form, "open_source"):
        return form.open_source(source)
    return tensors.open_folder(source, form.BASE)


def read_about(form: ModuleType, source: Path) -> dict[str, Any]:
    """The folder's config.json, or what stands in for it."""
    if hasattr(form, "read_about"):
        return form.read_about(source)
    return tensors.read_json(source / CONFIG)


def _write_shards(form, target, moves, found, shard_bytes, say) -> int:
    """All files under their names once all are on the disk; their number."""
    shards = list(plan.shards(moves, shard_bytes))
    files = _names(form.BASE, len(shards))
    with contextlib.ExitStack() as stack:
        turn, staged = iter(say), []
        for file, shard in zip(files, shards, strict=True):
            specs = {move.target: move.spec for move in shard}
            out = stack.enter_context(
                writer.Writer(target / file, specs, {"format": "pt"})
            )
            for move in shard:
                next(turn)
                out.write(move.target, plan.read(move, found, importing=False))
            out.finish()
            staged.append(out)
        next(turn, None)
        _forget(target, form.BASE)
        for out in staged:
            out.rename()
    if len(files) > 1:
        where = {m.target: f for f, s in zip(files, shards, strict=True) for m in s}
        size = sum(writer.nbytes(move.spec) for move in moves)
        index = {"metadata": {"total_size": size}, "weight_map": where}
        _write_json(target / f"{form.BASE}{tensors.INDEX}", index)
    return len(files)


def _names(base: str, count: int) -> list[str]:
    if count == 1:
        return [f"{base}.safetensors"]
    return [
        f"{base}-{number:05}-of-{count:05}.safetensors"
        for number in range(1, count + 1)
    ]


def exported_in(form: ModuleType, folder: Path) -> list[Path]:
    """What an export to `folder` would replace."""
    if hasattr(form, "save"):
        return [path for path in [folder / form.FILES[0]] if path.is_file()]
    return weights_in(folder, form.BASE)


def weights_in(folder: Path, base: str) -> list[Path]:
    """Files that make `folder` a model in a released layout, config.json first."""
    fixed = (CONFIG, f"{base}{tensors.INDEX}", f"{base}.safetensors")
    found = [folder / name for name in fixed if (folder / name).is_file()]
    return found + sorted(folder.glob(f"{base}-?????-of-?????.safetensors"))


def _forget(target: Path, base: str) -> None:
    """Older weights beside new ones would be read in their place, or with them."""
    for path in weights_in(target, base):
        path.unlink()


def _check_apart(source: Path, target: Path) -> None:
    home = source.parent if source.is_file() else source
    if home.resolve() == target.resolve():
        raise BridgeError(f"{target} is what is read; name another folder to write")


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    staged = path.with_name(path.name + writer.PARTIAL)
    staged.write_text(config_lib.to_json(value) + "\n", encoding="utf-8")
    os.replace(staged, path)


class _Progress:
    """Moves under a progress bar, and how fast they went."""

    def __init__(self, moves: list[plan.Move], description: str):
        self.moves, self.description = moves, description
        self.bytes = sum(writer.nbytes(move.spec) for move in moves)
        self.seconds = 0.0

    def __iter__(self):
        began = time.perf_counter()
        yield from log.progress(self.moves, self.description)
        self.seconds = time.perf_counter() - began

    def speed(self) -> str:
        megabytes = self.bytes / 1e6
        return f"{megabytes:.1f} MB, {megabytes / max(self.seconds, 1e-9):.0f} MB/s"
