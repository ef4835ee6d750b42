"""Pictures of others alone, for the autoencoder.

c.streams.main = dict(source="images", batch=64, image_size=256, data="pictures")
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from bridge_jax.data import images
from bridge_jax.data.choices import Choices
from bridge_jax.data.forms import captioned, pictures
from bridge_jax.data.records import record_stream
from bridge_jax.data.records.record_stream import Row


@dataclasses.dataclass(frozen=True)
class Stream(record_stream.RecordStream):
    """Row: images uint8 [image_size, image_size, 3].

    Attributes:
      image_size: pixels a side; the middle is cut out.
    """

    image_size: int = 256

    def row(self, where: str, record: Mapping[str, Any], choices: Choices) -> Row:
        name = next((name for name in captioned.PICTURES if name in record), "image")
        found = self.understood(pictures.read, where, record.get(name))
        image = self.opened(found, where)
        return {"images": images.crop_square(image, self.image_size)}
