"""Photographs to batches: random crops of 224 pixels from JPEG files, beside torchvision's ImageFolder.

    python benchmarks/photos.py                              # 2,000 photographs
    python benchmarks/photos.py --photos 400 --rounds 3

The photographs are parts of the real pictures that scikit-learn and scikit-image bring, about 500x375 pixels, made
below `--root` and removed at the end. Every side makes the same transforms: random resized crop, flip, normalization,
and RandAugment in the second table. Each makes an epoch of batches in every round; no network is trained. The last
line of a table is the memory of a process of its own, after each of three epochs.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sides import Side, show
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from selfdistill.data import load
from selfdistill.data.augment_recipe import augment_recipe
from selfdistill.data.kinds import augmentation_for, training_loader

SIDE, CLASSES, EPOCHS = 224, 10, 3
QUALITY = 95  # of JPEG: about 90 kB a photograph, as in ImageNet
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RECIPES = {"without RandAugment": "imagenet", "with RandAugment": "imagenet:randaugment"}


def options() -> argparse.Namespace:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--photos", type=int, default=2000)
    read.add_argument("--batch-size", type=int, default=64)
    read.add_argument("--rounds", type=int, default=5)
    read.add_argument("--workers", type=int, nargs="+", default=[2, 0], help="of the DataLoaders; the first is 1x")
    read.add_argument("--threads", type=int, default=None, help="of torch; default: torch's own choice")
    read.add_argument("--root", type=Path, default=Path(tempfile.gettempdir()), help="where the photographs are made")
    return read.parse_args()


def pictures() -> list[Image.Image]:
    """Return the real pictures that are installed."""
    from sklearn.datasets import load_sample_images

    found = [*load_sample_images().images]
    try:
        from skimage import data
    except ImportError:
        print("scikit-image is not installed; scikit-learn's pictures are used alone")
    else:
        found += [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    return [Image.fromarray(each) for each in found]


def photographs(count: int) -> Iterator[Image.Image]:
    """Yield upright and lying parts of the pictures, at several sizes around 500x375."""
    draws, originals = np.random.default_rng(0), pictures()
    for number in range(count):
        whole = originals[number % len(originals)]
        sides = np.array([500, 375]) * draws.uniform(0.8, 1.2)
        width, height = sides.round().astype(int)[:: 1 if number % 4 else -1].tolist()
        scale = draws.uniform(0.6, 1) * min(whole.width / width, whole.height / height)
        left, top = (draws.uniform(0, most) for most in (whole.width - scale * width, whole.height - scale * height))
        box = (left, top, left + scale * width, top + scale * height)
        yield whole.resize((width, height), Image.Resampling.BICUBIC, box=box)


def write(root: Path, count: int) -> None:
    """Write class folders of training photographs, and one test photograph a class."""
    for number, photograph in enumerate(photographs(count + CLASSES)):
        split = "train" if number < count else "test"
        folder = root / split / f"class{number % CLASSES}"
        folder.mkdir(parents=True, exist_ok=True)
        photograph.save(folder / f"{number:05}.jpg", quality=QUALITY)


def torchvision_side(root: Path, augment: str, batch_size: int, workers: int) -> Side:
    """Epochs of ImageFolder and DataLoader."""
    policy = [v2.RandAugment()] if ":" in augment else []
    crop = v2.RandomResizedCrop(SIDE, interpolation=v2.InterpolationMode.BICUBIC)
    values = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    images = ImageFolder(str(root / "train"), v2.Compose([crop, v2.RandomHorizontalFlip(), *policy, *values]))
    loader = DataLoader(
        images,
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    return Side(f"ImageFolder, {workers} workers", lambda: sum(len(labels) for _, labels in loader))


def own_side(root: Path, augment: str, batch_size: int) -> Side:
    """Epochs of this library's loader."""
    splits = load(f"folder:{root}", size=SIDE, crops=True)
    recipe = augmentation_for(splits, None, augment_recipe(augment))
    loader, epochs = training_loader(splits.train, batch_size, augment=recipe), iter(range(10**6))
    return Side("selfdistill", lambda: sum(len(batch.labels) for batch in loader.epoch(next(epochs))))


def memory(root: Path, augment: str, batch_size: int) -> list[float]:
    """Resident memory after each epoch, without mapped files, in MiB."""
    side = own_side(root, augment, batch_size)
    return [resident() for _ in range(EPOCHS) if side.epoch()]


def resident() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) / 1024


def main() -> None:
    asked = options()
    torch.set_num_threads(asked.threads or torch.get_num_threads())
    root = Path(tempfile.mkdtemp(dir=asked.root))
    try:
        write(root, asked.photos)
        sizes = [each.stat().st_size for each in root.glob("train/*/*.jpg")]
        print(f"{len(sizes)} photographs of {sum(sizes) / len(sizes) / 1000:.0f} kB", flush=True)
        for title, augment in RECIPES.items():
            sides = [torchvision_side(root, augment, asked.batch_size, workers) for workers in asked.workers]
            sides.append(own_side(root, augment, asked.batch_size))
            show(f"crops of {SIDE} {title}, batches of {asked.batch_size}", sides, asked.rounds)
            with get_context("spawn").Pool(1) as process:
                found = process.apply(memory, (root, augment, asked.batch_size))
            print(f"memory after each epoch: {', '.join(f'{each:.0f} MiB' for each in found)}\n", flush=True)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
