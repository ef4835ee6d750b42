"""Captions and pictures of others in several aspect ratios, a batch in one of them.

    c.streams.main = dict(source="text_to_image_aspects", batch=512, image_size=512,
        data="shards/*.tar")

Every record is measured once, by its picture's header, and goes to the size that is
nearest. Batches take the sizes in the shares that they have among the records, so that
each is met once in about the time of an epoch; a step is compiled once for each size.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import grain
import numpy as np

from bridge_jax.core import log
from bridge_jax.core.errors import BridgeError
from bridge_jax.core.once import once
from bridge_jax.data import aspects, images
from bridge_jax.data.choices import Choices
from bridge_jax.data.forms import captioned
from bridge_jax.data.records import epochs, rejects, survey
from bridge_jax.data.records.record_stream import Row
from bridge_jax.data.streams import ENDLESS, text_to_image


@dataclasses.dataclass(frozen=True)
class Stream(text_to_image.Stream):
    """Row: as of `text_to_image`, with images uint8 [h, w, 3], and `meta` [6] int32.

    `meta` is height and width of the picture itself, those of what was cut out, and
    where: top and left in the scaled picture.

    Attributes:
      batch: rows of a step; the pipeline tells.
      image_size: root of the area in pixels.
      unit: sides are multiples of it.
      longest: most that a side is longer than the other.
    """

    batch: int = 0
    unit: int = 64
    longest: float = 2.0

    def __call__(self, index: int) -> Row:
        if self.batch < 1:
            raise BridgeError("text_to_image_aspects needs batch=ROWS of a step")
        number, place = divmod(index, self.batch)
        chosen, turn = self.turns[number]
        members, choices = self.members[chosen], self.choices(index)
        first = epochs.record(self.seed, turn * self.batch + place, len(members))
        for more in range(len(members)):
            record = int(members[(first + more) % len(members)])
            row = self.tried(record, lambda *of: self.sized(*of, choices, chosen))
            if row is not None:
                return row
        raise BridgeError(
            f"{self.data}: not one picture of {self.told(chosen)} is left"
        )

    def row(self, where: str, record: Mapping[str, Any], choices: Choices) -> Row:
        return self.sized(where, record, choices, *self._measure(where, record))

    def sized(
        self, where: str, record: Mapping[str, Any], choices: Choices, chosen: int
    ) -> Row:
        """A row whose picture has size number `chosen`. Raises Useless."""
        made = self.understood(captioned.read, where, record)
        image = self.opened(made.image, where)
        size = self.sizes[chosen]
        pixels, corner = aspects.cut(image, size)
        return {
            "images": pixels,
            "meta": np.asarray([*image.shape[:2], *size, *corner], np.int32),
            **self.words(made, choices),
        }

    @once
    def sizes(self) -> list[aspects.Size]:
        """Those that there are, from tall to wide."""
        return aspects.sizes(self.image_size, self.unit, self.longest)

    @once
    def members(self) -> dict[int, np.ndarray]:
        """Number of a size -> numbers of its records; those that have none are out."""
        count = len(self.source)
        bad = rejects.Rejects(self.most_bad, least=count)
        found = survey.take(
            count,
            lambda number: self.tried(number, self._measure, bad),
            1,
            f"measuring {self.data}",
        )[:, 0]
        if (found < 0).all():
            raise BridgeError(f"{self.data}: not one of its records is of use")
        kept = {
            int(n): np.flatnonzero(found == n) for n in np.unique(found[found >= 0])
        }
        shares = ", ".join(f"{self.told(n)} {len(kept[n]):,}" for n in kept)
        log.say(f"{self.data}: {shares}")
        return kept

    @once
    def turns(self) -> grain.MapDataset:
        """Number of a batch -> (its size, how many had it before)."""
        order = [
            grain.MapDataset.range(ENDLESS).map(lambda turn, n=n: (n, int(turn)))
            for n in self.members
        ]
        shares = [len(members) for members in self.members.values()]
        return grain.MapDataset.mix(order, shares)

    def told(self, chosen: int) -> str:
        """ "384 x 640": height and width."""
        return " x ".join(map(str, self.sizes[chosen]))

    def _measure(self, where: str, record: Mapping[str, Any]) -> tuple[int]:
        made = self.understood(captioned.read, where, record)
        try:
            height, width = images.size_of(made.image)
        except BridgeError as error:
            raise rejects.Useless("picture", f"{where}: {error}") from None
        if max(height, width) > 2 * self.longest * min(height, width):
            raise rejects.Useless(
                "aspect", f"{where}: {width} x {height} would lose more than half"
            )
        return (aspects.nearest(self.sizes, height, width),)
