"""Small images with masks, written for a test."""

import struct
import zlib

import numpy as np
from PIL import Image

from tests.helpers.image_files import save

PALETTE = [each for k in range(256) for each in (k, 255 - k, 7 * k % 256)]  # of all values: a shorter one cuts ids


def ids(seed=0, width=8, height=6, classes=3, ignored=255):
    """Class ids of all classes, and a pixel that is ignored; no two seeds are alike. -> [height, width]."""
    made = np.random.default_rng(seed).integers(0, classes, (height, width), dtype=np.uint8)
    made.flat[:classes] = range(classes)
    if ignored is not None:
        made[-1, -1] = ignored
    return made


def wanted(values, ignored=255):
    """Class ids as a mask in memory holds them."""
    return np.where(values == ignored, -100, values.astype(np.int16))


def save_mask(path, values, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if mode == "P":
        image.putpalette(PALETTE)
    image.save(path)


def save_pair(image, mask, seed=0, width=8, height=6, **options):
    """Write an image and its mask; return the ids."""
    save(image, seed, width, height)
    values = ids(seed, width, height, **options)
    save_mask(mask, values)
    return values


def pairs(root, splits, form="{split}/images/{name}.png", mask="{split}/masks/{name}.png", **options):
    """Write a number of images and masks for each split; seeds count on."""
    seed = 0
    for split, count in splits.items():
        for _ in range(count):
            place = {"split": split, "name": f"{seed:02}"}
            save_pair(root / form.format(**place), root / mask.format(**place), seed, **options)
            seed += 1
    return root


def gray_png(values, bits):
    """A gray PNG of few bits, which Pillow does not write."""
    height, width = values.shape

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    each = 8 // bits
    padded = np.zeros((height, -(-width // each) * each), dtype=np.uint8)
    padded[:, :width] = values
    packed = sum(padded[:, k::each].astype(np.uint8) << (8 - bits * (k + 1)) for k in range(each)).astype(np.uint8)
    lines = b"".join(b"\0" + line.tobytes() for line in packed)
    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
