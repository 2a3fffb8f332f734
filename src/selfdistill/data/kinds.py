"""The kinds of data: images with classes or tags, images with masks, and tensors."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from selfdistill.data.array_views import array_views
from selfdistill.data.augment import Augmentation, default_augmentation
from selfdistill.data.augment_recipe import AugmentRecipe
from selfdistill.data.batch import Batch
from selfdistill.data.cell_exchange import CellExchange
from selfdistill.data.center_crop import WHOLE, CenterCrop
from selfdistill.data.drawn_part import TestPart
from selfdistill.data.examples import Examples, TensorSplits, named_inputs
from selfdistill.data.ignored import IGNORED
from selfdistill.data.images import Images, Splits
from selfdistill.data.load_arrays import load_tensors
from selfdistill.data.load_dataset import Decode, load
from selfdistill.data.load_segmentation import load_masks
from selfdistill.data.masked_images import MaskedImages, MaskedSplits, MaskedTensors
from selfdistill.data.mixing import Erasing, Mixing
from selfdistill.data.pixel_format import BYTE
from selfdistill.data.requirements import Need
from selfdistill.data.segmentation_augment import SegmentationAugmentation, default_segmentation_augmentation
from selfdistill.data.segmentation_loader import SegmentationLoader, segmentation_batches
from selfdistill.data.sources import holds_images, require_drawing
from selfdistill.data.standardization import Standardization, default_standardization
from selfdistill.data.tensor_loader import TensorLoader, tensor_batches
from selfdistill.data.train_loader import Loader, batches
from selfdistill.errors import UserError
from selfdistill.inputs import Inputs
from selfdistill.rng import make_generator
from selfdistill.task import CLASSIFY, SEGMENT, TAG, TaskName

Change: TypeAlias = Mixing | CellExchange
AnySplits: TypeAlias = Splits | MaskedSplits | TensorSplits
AnyImages: TypeAlias = Images | MaskedImages | Examples
AnyAugmentation: TypeAlias = Augmentation | SegmentationAugmentation | Standardization
AnyLoader: TypeAlias = Loader | SegmentationLoader | TensorLoader
LARGEST_CROP, CROP_STEP = 512, 32  # pixels; most networks halve the side five times
RGB = 3  # channels of images with masks
LARGEST_PICTURE = 4096  # pixels of a side, of tensors that are images


def load_data(
    spec: str,
    task: TaskName,
    *,
    limit: int | None = None,
    validation: float = 0.0,
    seed: int = 0,
    size: int | None = None,
    label_noise: float = 0.0,
    decode: Decode = "auto",
    skip_unreadable: bool = False,
    test: TestPart = 0.0,
    crops: bool = False,
    channels: int | None = None,
    bits: int = BYTE,
    crop: CenterCrop = WHOLE,
    on_note: Callable[[str], None],
) -> AnySplits:
    """Load the data of a task: by `load`, or by `load_masks` for pixels, whose images keep their size.

    Raises `UserError` for data of another task, and for label noise, `channels` or `bits` on pixels.
    """
    if channels is not None or bits != BYTE:
        _require_files(spec, task)
    if not holds_images(spec):
        return _tensors(spec, task, limit, validation, seed, size, label_noise, test, on_note)
    if task != SEGMENT:
        return load(
            spec,
            task=task,
            limit=limit,
            validation=validation,
            seed=seed,
            size=size,
            label_noise=label_noise,
            decode=decode,
            skip_unreadable=skip_unreadable,
            test=test,
            crops=crops,
            channels=channels,
            bits=bits,
            crop=crop,
            on_note=on_note,
        )
    if test:
        require_drawing(spec, test)
    if label_noise:
        raise UserError("label noise replaces the classes of whole images, not of pixels; leave --label-noise out")
    return load_masks(
        spec,
        limit=limit,
        validation=validation,
        seed=seed,
        decode=decode,
        skip_unreadable=skip_unreadable,
        on_note=on_note,
    )


def _require_files(spec: str, task: TaskName) -> None:
    """Raise `UserError` for `channels` or `bits` of data that have their own."""
    if task == SEGMENT or not holds_images(spec):
        raise UserError(
            f"--channels and --bits are for image files with classes or tags, but {spec} has "
            f"{'masks' if holds_images(spec) else 'arrays, which are read with all channels and bits'}; leave them out"
        )


def _tensors(
    spec: str,
    task: TaskName,
    limit: int | None,
    validation: float,
    seed: int,
    size: int | None,
    label_noise: float,
    test: TestPart,
    on_note: Callable[[str], None],
) -> TensorSplits:
    """Load tensors, which are not resized. Raises `UserError` for options that only images have."""
    if size is not None:
        raise UserError(f"{spec} has tensors, which are not resized; leave --size out, or resize them in the file")
    if label_noise:
        raise UserError(f"label noise replaces the classes of images, and {spec} has tensors; leave --label-noise out")
    splits = load_tensors(spec, limit=limit, validation=validation, seed=seed, test=test, on_note=on_note)
    if splits.task != task:
        raise UserError(f"the labels of {spec} are of the task {splits.task!r}, not {task!r}; leave --task out")
    return splits


def task_of_splits(splits: AnySplits) -> TaskName:
    """Return the task of loaded data."""
    if isinstance(splits, TensorSplits):
        return splits.task
    if isinstance(splits, MaskedSplits):
        return SEGMENT
    return TAG if splits.train.labels.dim() == 2 else CLASSIFY


def training_size(splits: AnySplits, size: int | None) -> tuple[int, int]:
    """Height and width in pixels of the images that a model is trained on; 1 and 1 for tensors that are no images.

    For images with masks: a square of `size`; without it their common size, or where sizes differ a square of the
    median shorter side, rounded down to a multiple of 32 and at most 512.
    """
    if isinstance(splits, Splits):
        return splits.train.size, splits.train.size
    if isinstance(splits, TensorSplits):
        inputs = splits.train.inputs
        return (inputs.shape[2], inputs.shape[3]) if isinstance(inputs, Tensor) and image_channels(splits) else (1, 1)
    sizes = splits.train.sizes
    if size is None and (sizes == sizes[0]).all():
        height, width = sizes[0].tolist()
        return height, width
    side = size or min(int(sizes.amin(dim=1).median()), LARGEST_CROP)
    return (side, side) if size else (max(side // CROP_STEP, 1) * CROP_STEP,) * 2


def image_channels(splits: AnySplits) -> int | None:
    """Return the channels of an example that is one image [C, H, W], as networks take; None for others."""
    if not isinstance(splits, TensorSplits):
        return splits.train.images.shape[1] if isinstance(splits, Splits) else RGB
    inputs = splits.train.inputs
    is_picture = isinstance(inputs, Tensor) and inputs.dim() == 4 and max(inputs.shape[2:]) <= LARGEST_PICTURE
    return inputs.shape[1] if is_picture and isinstance(inputs, Tensor) else None


def describe_example(splits: AnySplits) -> str:
    """Describe the inputs of one example: "float32 [2, 64]", or the pixels of an image."""
    if not isinstance(splits, TensorSplits):
        height, width = training_size(splits, None)
        return f"{height}x{width} pixels"
    inputs = named_inputs(splits.train.inputs)
    return ", ".join(f"{name} {str(each.dtype)[6:]} {[*each.shape[1:]]}".strip() for name, each in inputs.items())


def crop_of(splits: AnySplits) -> CenterCrop:
    """Return the center crop of test images; masks and tensors have none."""
    return splits.crop if isinstance(splits, Splits) else WHOLE


def is_unlabeled(images: AnyImages) -> bool:
    """Return True for tags without a positive and for pixels in memory without a label: nothing can be measured."""
    if isinstance(images, MaskedImages):
        return isinstance(images.pairs, MaskedTensors) and not bool((images.pairs.masks != IGNORED).any())
    if images.labels.dim() == 2:
        return not bool((images.labels == 1).any())
    return images.labels.dim() > 2 and not bool((images.labels != IGNORED).any())


def augmentation_for(splits: AnySplits, size: int | None, recipe: AugmentRecipe | None = None) -> AnyAugmentation:
    """Return the augmentation for images of `training_size`; `size` is the shorter side of resized masks.

    Raises `UserError` for a recipe other than the default on masks, and for one that does not fit tensors.
    """
    if isinstance(splits, Splits):
        return default_augmentation(splits, recipe)
    if isinstance(splits, TensorSplits):
        return replace(default_standardization(splits), views=array_views(splits, recipe or AugmentRecipe()))
    if recipe not in (None, AugmentRecipe()):
        raise UserError(f"{splits.name} has masks, which no recipe of images augments; leave --augment at auto")
    return default_segmentation_augmentation(splits, training_size(splits, size), base=size)


def training_loader(
    images: AnyImages,
    batch_size: int,
    *,
    augment: AnyAugmentation,
    mixing: Change | None = None,
    erasing: Erasing | None = None,
    needs: Mapping[str, Need] | None = None,
    seed: int = 0,
    balanced: bool = False,
    workers: int | None = None,
    rank: int = 0,
    ranks: int = 1,
    device: torch.device | str = "cpu",
) -> AnyLoader:
    """Make the loader of a kind of images; a segmentation loader does not mix, and has no extra inputs.

    Methods that need those are refused for pixels, as is a `balanced` order.
    """
    place: dict[str, Any] = {"erasing": erasing, "seed": seed, "rank": rank, "ranks": ranks, "device": device}
    drawn: dict[str, Any] = {"mixing": mixing, "needs": needs, "balanced": balanced}
    if isinstance(images, Images) and isinstance(augment, Augmentation):
        return Loader(images, batch_size, augment=augment, workers=workers, **drawn, **place)
    if isinstance(images, Examples) and isinstance(augment, Standardization):
        return TensorLoader(images, batch_size, augment=augment, **drawn, **place)
    if isinstance(images, MaskedImages) and isinstance(augment, SegmentationAugmentation):
        return SegmentationLoader(images, batch_size, augment=augment, **place)
    raise TypeError(f"{type(augment).__name__} does not augment {type(images).__name__}")


def evaluation_batches(
    images: AnyImages, batch_size: int, augment: AnyAugmentation, device: torch.device | str = "cpu"
) -> Iterator[Batch]:
    """Iterate over all images in order, normalized only."""
    if isinstance(images, Images) and isinstance(augment, Augmentation):
        yield from batches(images, batch_size, augment, device)
    elif isinstance(images, MaskedImages) and isinstance(augment, SegmentationAugmentation):
        yield from segmentation_batches(images, batch_size, augment, device)
    elif isinstance(images, Examples) and isinstance(augment, Standardization):
        yield from tensor_batches(images, batch_size, augment, device)
    else:
        raise TypeError(f"{type(augment).__name__} does not augment {type(images).__name__}")


def example_inputs(images: AnyImages, rows: int, augment: AnyAugmentation) -> Inputs:
    """Return normalized inputs of the first rows, in the shape of a training batch: images [B, 3, H, W], or tensors."""
    if isinstance(images, Images) and isinstance(augment, Augmentation):
        return augment.normalize(images.images[:rows])
    if isinstance(images, Examples) and isinstance(augment, Standardization):
        return augment.normalize(images.rows(torch.arange(min(rows, len(images)))).inputs)
    if isinstance(images, MaskedImages) and isinstance(augment, SegmentationAugmentation):
        pairs = [images[row] for row in range(min(rows, len(images)))]
        return augment(pairs, augment.draw(len(pairs), make_generator(0, "example")))[0]
    raise TypeError(f"{type(augment).__name__} does not augment {type(images).__name__}")
