"""Small image files and tables, written for a test."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def picture(seed=0, size=8, height=None):
    """Noise, so that no two are alike."""
    noise = np.random.default_rng(seed).integers(0, 256, (height or size, size, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def channels_first(image):
    return np.asarray(image).transpose(2, 0, 1)


def save(path, seed=0, size=8, height=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, size, height).save(path)


def encoded(seed, size=8, form="PNG"):
    file = io.BytesIO()
    picture(seed, size).save(file, form, lossless=True)
    return file.getvalue()


def class_folders(root, counts, first=0, size=8):
    """Write `counts` images for each "split/class"."""
    for k, (folder, count) in enumerate(counts.items()):
        for n in range(count):
            save(root / folder / f"{n:02}.png", first + 100 * k + n, size)
    return root


def table(images, image="img", names=None, **labels):
    """A table in the hub's layout; `names` gives class names by label column."""
    cells = [{"bytes": each, "path": None} for each in images]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    made = pa.table({image: pa.array(cells, kind), **labels})
    if names is None:
        return made
    features = {column: {"names": each, "_type": "ClassLabel"} for column, each in names.items()}
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def write(path, made):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(made, path)
