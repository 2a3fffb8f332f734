"""Tar shards of WebDataset's layout, written for a test."""

import io
import tarfile


def write_shard(path, members):
    """Write (name, bytes) pairs, in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as opened:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return path


def samples(labels, images, ending="cls", first=0):
    """Yield the members of images with a label each, of keys that count from `first`."""
    for k, (label, image) in enumerate(zip(labels, images, strict=True), start=first):
        yield f"{k:04}.png", image
        yield f"{k:04}.{ending}", str(label).encode()
