"""Retrieval on a Karpathy split: Flickr30K's 1K test, COCO's 5K test, or your own.

DATA is dataset_flickr30k.json or dataset_coco.json as published, {"images":
[{"filename", "filepath", "split", "sentences": [{"raw"}]}]}, with its pictures beside
it, in "images", or in `filepath` below one of them. Pictures of split "test" count,
each with its first five captions, lower-cased and cut to 50 words as OmniBridge's are.

    i2t   picture -> captions; right is any of its own
    t2i   caption -> pictures; right is the one it belongs to
    t2t   caption -> all other captions; right is any other of the same picture.
          Captions without a sister are left out.

R@k is the share of queries with a right result among the first k. Ties count against
the query (`eval/ranks.py`): what several pictures or captions share tells none apart.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bridge_jax.core.errors import BridgeError
from bridge_jax.data import fields
from bridge_jax.data.faults import Faults
from bridge_jax.data.sources import karpathy as source
from bridge_jax.eval import batches
from bridge_jax.eval.options import Options
from bridge_jax.eval.outside import answer_files, embedding_files, picture_files, ranks
from bridge_jax.eval.outside.shards import WHOLE, Shard
from bridge_jax.eval.system import System
from bridge_jax.eval.tasks.retrieval import CUTS

SPLIT = "test"
CAPTIONS = 5  # of each picture
WORDS = 50  # of each caption


@dataclasses.dataclass(frozen=True)
class Item:
    """A picture and its cleaned captions."""

    image: Path
    captions: tuple[str, ...]
    key: str


class Benchmark:
    """See the module's text.

    Raises:
      BridgeError: everything that is not as promised, all at once.
    """

    def __init__(self, data: Path):
        found, data = Faults(), Path(data)
        tested = source.images(data, (SPLIT,), found)
        self.items = [_item(r, data.parent, where, found) for where, r in tested]
        found.stop()

    def check(self, scorer: str | None) -> None:
        """Raises BridgeError if a scorer is named: there is one way to count."""
        if scorer is not None:
            raise BridgeError(f"karpathy takes no --scorer, not {scorer} either")

    def answer(
        self, model: System, folder: Path, options: Options, shard: Shard = WHOLE
    ) -> None:
        """Embed pictures and captions into embeddings_I_of_N.npz."""

        def embed(items: list[Item]) -> tuple[np.ndarray, np.ndarray, list[int]]:
            images, captions = [], []
            said = [caption for item in items for caption in item.captions]
            for _, rows, real in batches.batches(items, options.batch, "pictures"):
                opened = fields.open_pictures([item.image for item in rows])
                images.append(np.asarray(model.embed(images=opened))[:real])
            for _, rows, real in batches.batches(said, options.batch, "captions"):
                captions.append(np.asarray(model.embed(texts=rows))[:real])
            counts = [len(item.captions) for item in items]
            return np.concatenate(images), np.concatenate(captions), counts

        embedding_files.write(folder, shard, self.items, embed)

    def score(self, folder: Path, scorer: str | None = None) -> dict[str, float]:
        """i2t_r1, i2t_r5, i2t_r10 and the same of t2i and t2t, where there is a sister.

        Raises:
          BridgeError: a scorer is named; items that are missing or doubled.
        """
        self.check(scorer)
        made = embedding_files.read(folder, self.items)
        places = {
            "i2t": ranks.ahead(made.images, made.captions, made.positions, made.owners),
            "t2i": ranks.ahead(made.captions, made.images, made.owners, made.positions),
            "t2t": ranks.ahead(
                made.captions, made.captions, made.owners, made.owners, True
            )[np.bincount(made.owners)[made.owners] > 1],
        }
        return {
            f"{name}_r{k}": value
            for name, found in places.items()
            if len(found)
            for k, value in ranks.recalls(found, CUTS).items()
        }


def clean(caption: str) -> str:
    """Lower case, one space between words, at most `WORDS` of them."""
    return " ".join(caption.lower().split()[:WORDS])


def _item(record: Mapping[str, Any], home: Path, where: str, found: Faults) -> Item:
    said = source.captions(record, where, found)[:CAPTIONS]
    captions = [clean(caption) for caption in said]
    return Item(
        picture_files.find(record, "filename", home, where, found),
        tuple(captions),
        answer_files.key_of(record.get("filename"), captions),
    )
