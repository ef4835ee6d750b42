"""What changes as soon as files do: for what is kept of them from run to run."""

from bridge_jax.data.sources import kinds, places, several, shards


def of(path: str, kind: str = "") -> str:
    """A text of the sizes and times of all files that `path` stands for.

    "" where nobody can tell: of folders, whose files may change one by one, and of
    datasets that are named.

    Raises:
      BridgeError: files that are missing.
    """
    plain, split = shards.split_of(path)
    if path.startswith("tfds:"):
        return ""
    files = several.files(plain, kind) if kinds.is_several(path, kind) else [plain]
    if any(places.is_folder(one) for one in files):
        return ""
    return "\0".join([split, *(f"{one}\0{places.stamp(one)[1]}" for one in files)])
