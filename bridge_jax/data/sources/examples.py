"""tf.train.Example without TensorFlow: the message's definition comes with TFDS."""

from typing import Any

from bridge_jax.data.sources import extras


def parsed(record: bytes, where: str) -> dict[str, Any]:
    """The features of a serialized tf.train.Example.

    Returns:
      name -> the value of a feature that has one, else the list of its values.

    Raises:
      BridgeError: it is none; tensorflow_datasets is missing.
    """
    proto = extras.load("tensorflow_datasets.proto", where)
    with extras.told(where):
        features = proto.tf_example_pb2.Example.FromString(record).features.feature
        return {name: _value(features[name]) for name in sorted(features)}


def text(value: bytes) -> str | bytes:
    """The text that bytes are, if they are UTF-8."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def _value(feature: Any) -> Any:
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    if kind == "bytes_list":
        values = [text(one) for one in values]
    return values[0] if len(values) == 1 else values
