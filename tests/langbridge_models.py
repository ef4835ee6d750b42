"""Tiny LangBridge models and language models of random weights, as folders."""

import tiny_model

from bridge_jax.core import config as config_lib
from bridge_jax.data import processor as processor_lib
from bridge_jax.data import vocabulary
from configs import shapes_langbridge


def write(folder, variant, processor=None, table=None, **overrides):
    """Of configs/shapes_langbridge.py: "words-llama3", "adapter-qwen2".

    `processor` and `overrides`, of the model, are changes; `table` takes its place.
    """
    made = shapes_langbridge.get_config(variant)
    asked = config_lib.plain(made.processor) | (processor or {})
    part = table or config_lib.plain(made.model.vlm) | overrides
    return tiny_model.write(
        folder,
        table=vocabulary.resolved({"vlm": part}),
        about=config_lib.to_dataclass(processor_lib.Config, asked),
    )
