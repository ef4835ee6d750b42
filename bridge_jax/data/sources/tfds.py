"""Datasets of TFDS by number, without TensorFlow: a folder, or a name with its split.

    tfds:coco_captions/2014[train]             what is prepared in TFDS_DATA_DIR
    tfds:my_captions:1.0.0[train[:90%]]
    gs://... or ~/data/my_captions/1.0.0[train+validation]

The folder holds dataset_info.json and features.json, and was written with
file_format="array_record" (TFRecord has no records by number). Without a split there
must be only one. Names are never downloaded here.

Pictures are arrays, uint8 [H, W, C], as TFDS decodes them; texts are str; other byte
strings are texts where they are UTF-8; single numbers are Python's; tensors are arrays;
a Sequence of dicts is a list of them. Memory: what TFDS holds, by shard.

A dataset of one's own, in my_captions.py:

    import csv

    import tensorflow_datasets as tfds

    class MyCaptions(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {"image": tfds.features.Image(shape=(None, None, 3)),
                        "caption": tfds.features.Text()}
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples("captions.csv")}

        def _generate_examples(self, path):
            for name, caption in csv.reader(open(path)):
                yield name, {"image": f"pictures/{name}", "caption": caption}

    MyCaptions(data_dir="data", file_format="array_record").download_and_prepare()

Then data/my_captions/1.0.0 is the folder. Pictures are given as the path of a file, an
open file of bytes, or a PIL image: an array would need TensorFlow.
"""

from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.sources import array_record, examples, extras, places, shards
from bridge_jax.data.sources.recent import Recent

_PREFIX = "tfds:"
_DATA = Recent(16)


class Source:
    """See the module's text.

    Raises:
      BridgeError: there is no such dataset or split; a shard is missing or cut short;
        its format has no records by number; tensorflow_datasets is missing.
    """

    def __init__(self, path: str):
        self._path = path
        with extras.told(path):
            self._count = len(self._data())

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        index = range(self._count)[index]
        where = f"{self._path}: record {index}"
        data = self._data()
        with extras.told(where):
            return where, _plain(data[index], data.dataset_info.features, where)

    def _data(self) -> Any:
        return _DATA.get(self._path, lambda: _opened(self._path))


def _opened(path: str) -> Any:
    tfds = extras.load("tensorflow_datasets", path)
    named, split = shards.split_of(path)
    with extras.told(path):
        if named.startswith(_PREFIX):
            builder = tfds.builder(named.removeprefix(_PREFIX), try_gcs=False)
        else:
            builder = tfds.builder_from_directory(named)
        names = sorted(builder.info.splits)
        if not names:
            raise BridgeError(
                f"{path}: is not prepared in {builder.data_dir}; its builder's"
                " download_and_prepare with file_format='array_record' does that"
            )
        if not split and len(names) > 1:
            raise BridgeError(f"{path}: name a split, such as {path}[{names[0]}]")
        split = split or names[0]
        _check(builder.info.splits[split].file_instructions)
        return builder.as_data_source(split)


def _check(files: Any) -> None:
    """Every shard is there, and has the records that it should."""
    for one in files:
        name = str(one.filename)
        if ".array_record" not in name or places.is_elsewhere(name):
            continue
        there = len(array_record.Source(name))
        if there < one.examples_in_shard:
            raise BridgeError(
                f"{name}: holds {there} records of {one.examples_in_shard}"
            )


def _plain(value: Any, feature: Any, where: str) -> Any:
    """Plain Python, but for arrays of numbers."""
    if isinstance(value, dict):
        within = getattr(feature, "feature", None)
        if within is not None:  # TFDS has a Sequence of dicts as a dict of columns
            rows = zip(*value.values(), strict=True)
            made = [dict(zip(value, row, strict=True)) for row in rows]
            return [_plain(one, within, where) for one in made]
        inner = dict(feature.items())
        return {
            name: _plain(one, inner.get(name), f"{where} {name}")
            for name, one in value.items()
        }
    if isinstance(value, bytes):
        found = examples.text(value)
        if isinstance(found, bytes) and type(feature).__name__ == "Text":
            raise BridgeError(f"{where}: is no UTF-8")
        return found
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OSU":
        return value if value.ndim else value.item()
    if isinstance(value, list | tuple | np.ndarray):
        inner = getattr(feature, "feature", feature)
        return [_plain(one, inner, where) for one in value]
    return value.item() if isinstance(value, np.generic) else value
