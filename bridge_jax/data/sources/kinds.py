"""Which file here reads what a path leads to: by its suffix, or a look inside."""

import re

from bridge_jax.core.errors import BridgeError
from bridge_jax.data.sources import places, shards

# Suffix of a file -> the file here that reads it.
READERS = {
    ".jsonl": "json_lines",
    ".json": "json_array",
    ".parquet": "parquet",
    ".tar": "webdataset",
    ".array_record": "array_record",
    ".arrayrecord": "array_record",
    ".txt": "text_lines",
    ".token": "flickr30k",
    ".csv": "flickr30k",
}
PICTURES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
)
# What Hugging Face has in a folder of pictures.
METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
TFDS = ("dataset_info.json", "features.json")  # of a dataset's folder

# Kinds that come in many files, and those that are one folder.
_SHARDS = (".parquet", ".tar", ".array_record", ".arrayrecord", ".jsonl", ".json")
_FOLDERS = ("tfds", "image_folder")
_NUMBERED = re.compile(r"-\d+-of-\d+$")
_LOST_SLASH = re.compile(r"([a-z][a-z0-9]+):/([^/].*)")  # of a Path
_PEEK = 1 << 16


def kind_of(path: str) -> str:
    """The name of the file here that reads `path`.

    Raises:
      BridgeError: there is nothing, or nothing that is known.
    """
    if path.startswith("tfds:"):
        return "tfds"
    path, _ = shards.split_of(path)
    if places.is_folder(path):
        return _of_folder(path)
    suffix = suffix_of(path)
    if suffix in (".gz", ".zst", ".bz2", ".xz", ".tgz"):
        raise BridgeError(
            f"{path}: is compressed, and records by number need it unpacked"
        )
    if suffix == ".tfrecord":
        raise BridgeError(
            f"{path}: a TFRecord file has no records by number; tfds"
            " convert_format --out_file_format=array_record makes one that has"
        )
    if suffix not in READERS:
        raise BridgeError(f"{path}: records are read from {', '.join(READERS)}")
    if not places.is_file(path):
        lost = _LOST_SLASH.match(path)
        hint = f" (as a text it is {lost[1]}://{lost[2]})" if lost else ""
        raise BridgeError(f"{path}: no such file{hint}")
    return _of_json(path) if suffix == ".json" else READERS[suffix]


def is_several(path: str, kind: str = "") -> bool:
    """Whether a path stands for files that are read as one.

    Args:
      kind: of each, if it is known.
    """
    if path.startswith("tfds:"):
        return False
    plain, _ = shards.split_of(path)
    if shards.is_list(plain):
        return True
    if kind in _FOLDERS or not places.is_folder(plain):
        return False
    return bool(kind) or _of_folder(plain) == "several"


def in_folder(folder: str, kind: str = "") -> list[str]:
    """The files of a kind in a folder, sorted; of the one kind that there is.

    Raises:
      BridgeError: there are none, or several kinds.
    """
    found: dict[str, list[str]] = {}
    for name in places.names(folder):
        suffix = suffix_of(name)
        if suffix in _SHARDS and (not kind or READERS[suffix] == kind or "." in kind):
            found.setdefault(READERS[suffix], []).append(places.below(folder, name))
    if not found:
        raise BridgeError(f"{folder}: holds no {kind or 'records'} that are known")
    if len(found) > 1:
        suffix = suffix_of(min(found.values())[0])
        raise BridgeError(
            f"{folder}: holds {' and '.join(sorted(found))}; name one of these kinds,"
            f" or its files, such as {places.below(folder, '*' + suffix)}"
        )
    return next(iter(found.values()))


def suffix_of(name: str) -> str:
    """ ".tar" of "a.tar", and ".array_record" of "a.array_record-00000-of-00008"."""
    name = _NUMBERED.sub("", name.rsplit("/", 1)[-1])
    return name[name.rfind(".") :].lower() if "." in name else ""


def _of_folder(folder: str) -> str:
    names = places.names(folder)
    if set(TFDS) <= set(names):
        return "tfds"
    if set(METADATA) & set(names):
        return "image_folder"
    suffixes = {suffix_of(name) for name in names}
    if suffixes & set(_SHARDS):
        return "several"
    if suffixes & PICTURES or any(
        places.is_folder(places.below(folder, name)) for name in names
    ):
        return "image_folder"
    raise BridgeError(
        f"{folder}: holds neither pictures nor a dataset of TFDS nor any"
        f" of {', '.join(_SHARDS)}"
    )


def _of_json(path: str) -> str:
    """An array of objects, or one object that is COCO's or Karpathy's list."""
    with places.opened(path) as file, places.told(path):
        start = file.read(_PEEK)
    if not start.lstrip().startswith(b"{"):
        return "json_array"
    if b'"sentences"' in start or b'"sentids"' in start:
        return "karpathy"
    listed = (b'"images"', b'"annotations"')
    return "coco" if any(name in start for name in listed) else "json_array"
