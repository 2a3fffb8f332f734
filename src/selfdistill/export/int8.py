"""Static quantization of an ONNX file to 8 bits by ONNX Runtime, with its accuracy beside that of the 32 bits."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from selfdistill.data.examples import Examples
from selfdistill.data.images import Images
from selfdistill.data.kinds import evaluation_batches
from selfdistill.export.example import RunData, named
from selfdistill.export.formats import Network
from selfdistill.files import write_atomic
from selfdistill.records import RunInfo

CALIBRATED, TESTED = 256, 2000  # most images, evenly spaced
BATCH = 32
Labelled = tuple[dict[str, Tensor], Tensor]  # inputs by name, and labels [B]


class Accuracy(NamedTuple):
    """Top-1 of the files of 32 and of 8 bits on the same test images."""

    top1: float  # percent
    int8_top1: float
    images: int
    calibrated_on: int  # training images

    def __str__(self) -> str:
        return (
            f"top-1 {self.int8_top1:.2f}%, of 32 bits {self.top1:.2f}% ({self.images:,} test images; calibrated on "
            f"{self.calibrated_on:,} training images)"
        )


def quantize(source: Path, path: Path, data: RunData, info: RunInfo, metadata: dict[str, str]) -> int:
    """Write the quantized copy of an ONNX file; return the number of training images that it was calibrated on.

    Weights have a scale for each channel and 7 bits, since 8 overflow on processors without VNNI; activations have 8.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quant_pre_process, quantize_static

    images = _some(data.splits.train, CALIBRATED)

    def write(beside: Path) -> None:
        with TemporaryDirectory() as folder:
            folded = Path(folder) / "folded.onnx"  # batch normalization in the convolutions
            quant_pre_process(source, folded, skip_symbolic_shape=True)
            with _without_log():
                quantize_static(
                    folded,
                    beside,
                    _Calibration(_batches(images, data, info)),
                    quant_format=QuantFormat.QDQ,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    per_channel=True,
                    reduce_range=True,
                )
        _describe(beside, metadata)

    write_atomic(path, write)
    return len(images)


def accuracy(network: Network, quantized: Network, data: RunData, info: RunInfo, calibrated_on: int) -> Accuracy:
    """Measure the top-1 of both networks on test images, at most 2,000."""
    images, right = _some(data.splits.test, TESTED), torch.zeros(2)
    for inputs, labels in _batches(images, data, info):
        right += torch.stack([(each(inputs).argmax(dim=1) == labels).sum() for each in (network, quantized)])
    top1, int8_top1 = (100 * right / len(images)).tolist()
    return Accuracy(top1, int8_top1, len(images), calibrated_on)


class _Calibration:
    """Batches in the form that ONNX Runtime asks for: None after the last."""

    def __init__(self, batches: Iterator[Labelled]):
        self.batches = batches

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        found = next(self.batches, None)
        return None if found is None else {name: each.numpy() for name, each in found[0].items()}


@contextmanager
def _without_log() -> Iterator[None]:
    """Leave out warnings of vectors, which have no channels to quantize by."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _describe(path: Path, metadata: Mapping[str, str]) -> None:
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)


def _some(images: object, most: int) -> Images | Examples:
    """Choose at most `most` rows, evenly spaced, as images of a folder are ordered by class."""
    assert isinstance(images, Images | Examples)  # of one class each
    return images.rows(torch.linspace(0, len(images) - 1, min(len(images), most), dtype=torch.float64).long())


def _batches(images: Images | Examples, data: RunData, info: RunInfo) -> Iterator[Labelled]:
    for batch in evaluation_batches(images, BATCH, data.augment):
        yield named(batch.inputs, info), batch.labels
