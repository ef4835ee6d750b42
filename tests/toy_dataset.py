"""A dataset of TFDS with every kind of feature that records have.

In a module of its own: TFDS wants a package that it does not name where a builder's
module has a dot.
"""

import io

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

COUNT, TESTED = 11, 3


class Toy(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        f = tfds.features
        features = {
            "image": f.Image(shape=(None, None, 3)),
            "images": f.Sequence(f.Image(shape=(4, 4, 3))),
            "image/filename": f.Text(),
            "image/id": np.int64,
            "label": f.ClassLabel(names=["a", "b"]),
            "captions": f.Sequence({"id": np.int64, "text": np.str_}),
            "vector": f.Tensor(shape=(3,), dtype=np.float32),
            "said": f.Sequence(f.Text()),
            "raw": np.object_,
            "nested": {"a": np.bool_, "b": np.float32},
        }
        return tfds.core.DatasetInfo(builder=self, features=f.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        counts = {"train": COUNT, "test": TESTED}
        return {name: self._generate_examples(n) for name, n in counts.items()}

    def _generate_examples(self, count):
        for i in range(count):
            yield i, given(i)


def picture(i, height=5):
    return np.full((height, 4, 3), 20 * i, np.uint8)


def given(i):
    file = io.BytesIO()
    Image.fromarray(picture(i, 5 + i)).save(file, "PNG")
    file.seek(0)
    return {
        "image": file,
        "images": [Image.fromarray(picture(j, 4)) for j in range(i % 3)],
        "image/filename": f"ü{i}.jpg",
        "image/id": i,
        "label": i % 2,
        "captions": [{"id": j, "text": f"é {j}"} for j in range(i % 4)],
        "vector": np.arange(3, dtype=np.float32) + i,
        "said": ["ß"] * i,
        "raw": bytes([255, i]),
        "nested": {"a": i % 2 == 0, "b": i / 2},
    }


def expected(i):
    return given(i) | {
        "image": picture(i, 5 + i),
        "images": [picture(j, 4) for j in range(i % 3)],
    }


class Captioned(tfds.core.GeneratorBasedBuilder):
    """Pictures with captions, of `pairs`: (PNG bytes, caption) each."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, pairs, **options):
        self._pairs = pairs
        super().__init__(**options)

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "caption": tfds.features.Text(),
        }
        made = tfds.features.FeaturesDict(features)
        return tfds.core.DatasetInfo(
            builder=self, features=made, disable_shuffling=True
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number, (png, caption) in enumerate(self._pairs):
            yield number, {"image": io.BytesIO(png), "caption": caption}
