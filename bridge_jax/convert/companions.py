"""Files that belong to weights and hold none: tokenizers and preprocessors.

They are copied as they are, and none is read or run here.
"""

import shutil
from pathlib import Path

from bridge_jax.core.errors import BridgeError

HOME = "tokenizers"
NAMES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "chat_template.json",
    "preprocessor_config.json",
    "generation_config.json",
)
MOST_BYTES = 64 << 20


def copy(source: Path, target: Path) -> bool:
    """Copy those that are there; whether a tokenizer was among them.

    Raises:
      BridgeError: one is a link out of its folder or far too large.
    """
    home = source.resolve()
    if home.parent.name == "snapshots":  # a Hugging Face cache, see `tensors`
        home = home.parent.parent
    found = [source / name for name in NAMES if (source / name).is_file()]
    for path in found:
        if not path.resolve().is_relative_to(home):
            raise BridgeError(f"{path} links out of its folder; copy the file instead")
        if path.stat().st_size > MOST_BYTES:
            raise BridgeError(f"{path} is larger than any tokenizer")
    if found:
        target.mkdir(parents=True, exist_ok=True)
    for path in found:
        shutil.copyfile(path, target / path.name)
    return any(path.name == "tokenizer.json" for path in found)
