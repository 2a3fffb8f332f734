"""From an image or a tensor to the normalized input of a run's network, as in the run's own evaluation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast
from urllib.parse import parse_qs

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selfdistill.data.augment import Augmentation
from selfdistill.data.center_crop import WHOLE, CenterCrop, recorded_crop
from selfdistill.data.decode import reading
from selfdistill.data.examples import is_standardized, named_inputs
from selfdistill.data.pixel_format import PixelFormat
from selfdistill.data.rgb import ValueRange, to_rgb
from selfdistill.data.segmentation_augment import SegmentationAugmentation
from selfdistill.data.sources import split_query
from selfdistill.data.sources.options import parse_range
from selfdistill.data.standardization import Standardization
from selfdistill.data.tensor_layout import IDS
from selfdistill.data.whole_image import SHOWN, Whole, read_whole, resize_and_crop, to_pixels
from selfdistill.errors import UserError
from selfdistill.inputs import map_tensors
from selfdistill.records import RunInfo, task_in
from selfdistill.task import SEGMENT
from selfdistill.train.networks import trained_format, trained_normalization

if TYPE_CHECKING:  # imported with the first image
    from PIL import Image

    AnyImage: TypeAlias = str | Path | bytes | Image.Image | NDArray[np.uint8] | Tensor
    AnyArray: TypeAlias = NDArray[np.generic] | Tensor
    AnyExample: TypeAlias = AnyArray | Mapping[str, AnyArray]

GREY, COLOR = 2, 3  # dimensions of an array of pixels


@dataclass(frozen=True)
class ImageTransform:
    """Transform of one image to a network's input: resize, crop, normalize. Can be pickled.

    Takes a path, the bytes of a file, a PIL image, or uint8 pixels: an array [H, W] or [H, W, C], or a tensor
    [C, H, W]. `size` is the side of the center crop in pixels; None keeps the whole image, as for masks. `shown` is the
    range of pixels of more than 8 bits, `form` has the channels and bits of the run; `crop` resizes and crops. Raises
    `UserError` for anything else and for an image that cannot be read.
    """

    normalization: Augmentation | SegmentationAugmentation
    size: int | None
    shown: ValueRange | None = None
    form: PixelFormat = SHOWN
    crop: CenterCrop = WHOLE

    def __call__(self, image: "AnyImage") -> Tensor:
        """Return the normalized image. -> [C, H, W] float32."""
        return self.normalize(self.pixels(image)[None])[0].contiguous()

    def pixels(self, image: "AnyImage", size: int | None = None) -> Tensor:
        """Return the pixels after resizing and cropping to `size`, by default the run's. -> [C, H, W]."""
        return self.pixels_of(self.whole(image), size)

    def pixels_of(self, whole: Whole, size: int | None = None) -> Tensor:
        """Return the pixels of a decoded image, as `pixels` does. -> [C, H, W] uint8, or int32 of 16 bits."""
        side = size or self.size
        crop = self.crop if side == self.size else replace(self.crop, crop_pct=1.0)  # larger ones are cropped again
        seen = resize_and_crop(whole, side, self.form, crop) if side else whole
        found = torch.from_numpy(to_pixels(seen, self.form))
        if isinstance(self.normalization, SegmentationAugmentation):
            return self.normalization.resized(found)
        return found

    def normalize(self, pixels: Tensor) -> Tensor:
        """Normalize pixels by the statistics of the run's training. [B, C, H, W] -> the same, float32."""
        return self.normalization.normalize(pixels)

    def whole(self, image: "AnyImage") -> Whole:
        """Return an image with the channels and bits of the run. Raises `UserError` if it cannot be read."""
        if isinstance(image, str | Path | bytes):
            name, source = ("in memory", image) if isinstance(image, bytes) else (str(image), Path(image))
            with reading(source, name, self.form) as opened:
                return read_whole(opened, source, name, self.shown, self.form)
        if not self.form.is_shown:
            return _values(image, self.form)
        return to_rgb(_as_picture(image), "in memory", self.shown)


@dataclass(frozen=True)
class TensorTransform:
    """Transform of one example of tensors to a network's inputs: standardize each channel. Can be pickled."""

    standardization: Standardization

    def __call__(self, example: "AnyExample") -> Tensor | dict[str, Tensor]:
        """Return the standardized example, without an axis of rows: a tensor [C, …], or tensors by input."""
        if isinstance(example, Mapping):
            found = self.batch({name: _as_row(each) for name, each in example.items()})
        elif isinstance(example, Tensor | np.ndarray):
            found = self.batch(_as_row(example))
        else:
            raise UserError(f"this run reads arrays, tensors, or mappings of them, but found {_kind(example)}")
        return map_tensors(lambda each: each[0], found)

    def batch(self, inputs: Tensor | dict[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """Standardize rows of examples. Raises `UserError` for inputs of other names or channels than in training."""
        found = named_inputs(inputs)
        channels = {name: each.shape[1:2] for name, each in found.items() if is_standardized(each)}
        if channels != {name: (len(mean),) for name, mean in self.standardization.mean.items()}:
            kinds = ", ".join(f"{name} {_kind(each[0])}".strip() for name, each in found.items())
            raise UserError(f"this run reads {self._described()}, but found {kinds}")
        return cast(Tensor | dict[str, Tensor], self.standardization.normalize(inputs))

    def _described(self) -> str:
        found = (f"{name} [{len(each)}, …]".strip() for name, each in self.standardization.mean.items())
        return f"values of shape {', '.join(found)}" if self.standardization.mean else "integers"


AnyTransform: TypeAlias = ImageTransform | TensorTransform


def transform_of(info: RunInfo) -> AnyTransform:
    """Return the transform of a run's evaluation, from its run.json."""
    if isinstance(info["mean"], dict):
        empty = Standardization({}, {})
        return TensorTransform(cast(Standardization, trained_normalization(empty, info)))
    return image_transform(info)


def image_transform(info: RunInfo) -> ImageTransform:
    """Return the transform of a run's test images. Raises `UserError` for a run that was trained on tensors."""
    config, zero = info["config"], ((0.0,) * 3, (1.0,) * 3)
    shown = parse_range(next(_options(str(config.get("data", "")), "range"), None))
    if task_in(config).name == SEGMENT:
        height, width = info.get("sides") or [info["size"]] * 2
        whole = SegmentationAugmentation((height, width), False, *zero, base=config.get("size"))
        return ImageTransform(cast(SegmentationAugmentation, trained_normalization(whole, info)), None, shown)
    square = trained_normalization(Augmentation(0, False, *zero), info)
    return ImageTransform(cast(Augmentation, square), info["size"], shown, trained_format(info), recorded_crop(info))


def _options(spec: str, key: str) -> Iterator[str]:
    """Yield the value of an option of a data specification."""
    yield from parse_qs(split_query(spec)[1]).get(key, [])


def _values(image: object, form: PixelFormat) -> NDArray[np.float32]:
    """Return pixels in memory, which must have the channels and the largest value of `form`. -> [H, W, C]."""
    found = image.permute(1, 2, 0).numpy(force=True) if isinstance(image, Tensor) and image.dim() == COLOR else image
    array = np.asarray(found) if not isinstance(found, str) else np.empty(0)
    whole = array.dtype.kind in "ui" and array.size and array.min() >= 0 and array.max() <= form.largest
    if array.ndim != COLOR or array.shape[2] != form.channels or not whole:
        raise UserError(
            f"this run reads images of {form.channels} channels and {form.bits} bits: a path, or whole numbers from 0 "
            f"to {form.largest} of shape [H, W, {form.channels}], but found {_kind(found)}"
        )
    return array.astype(np.float32)


def _as_picture(image: object) -> "Image.Image":
    """Return a copy, since an image is turned upright in place."""
    from PIL import Image

    if isinstance(image, Image.Image):
        return image.copy()
    found = image.permute(1, 2, 0).numpy(force=True) if isinstance(image, Tensor) and image.dim() == COLOR else image
    if isinstance(found, np.ndarray) and found.dtype == np.uint8 and _has_pixels(found):
        return Image.fromarray(np.ascontiguousarray(found[..., 0] if found.shape[2:] == (1,) else found))
    raise UserError(f"an image is a path, a PIL image or uint8 pixels of 1, 3 or 4 channels, but found {_kind(image)}")


def _has_pixels(array: NDArray[np.uint8]) -> bool:
    return array.size > 0 and (array.ndim == GREY or (array.ndim == COLOR and array.shape[2] in (1, 3, 4)))


def _as_row(values: "AnyArray") -> Tensor:
    """Return an example as a row; integers of several dimensions are values, as in training. -> [1, C, …]."""
    row = torch.as_tensor(values)[None]
    kept = row.dim() <= IDS or is_standardized(row)
    return row if kept else row.float()


def _kind(value: object) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return f"{str(value.dtype).removeprefix('torch.')} values of shape {[*value.shape]}"
    return type(value).__name__
