"""Data sets: sources, splits, augmentation, loaders. Loaded on first use; independent of any method."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selfdistill.data.augment import Augmentation, default_augmentation
    from selfdistill.data.drawn_part import Fold
    from selfdistill.data.examples import Examples, TensorSplits
    from selfdistill.data.images import Images, Splits
    from selfdistill.data.load_arrays import load_tensors
    from selfdistill.data.load_dataset import load
    from selfdistill.data.load_segmentation import load_masks
    from selfdistill.data.masked_images import MaskedImages, MaskedSplits
    from selfdistill.data.segmentation_augment import SegmentationAugmentation, default_segmentation_augmentation
    from selfdistill.data.segmentation_loader import SegmentationLoader, segmentation_batches
    from selfdistill.data.sources import SOURCES
    from selfdistill.data.standardization import Standardization, default_standardization
    from selfdistill.data.tensor_loader import TensorLoader, tensor_batches
    from selfdistill.data.torch_loader import loader
    from selfdistill.data.train_loader import Loader, batches

__all__ = [
    "SOURCES",
    "Augmentation",
    "Examples",
    "Fold",
    "Images",
    "Loader",
    "MaskedImages",
    "MaskedSplits",
    "SegmentationAugmentation",
    "SegmentationLoader",
    "Splits",
    "Standardization",
    "TensorLoader",
    "TensorSplits",
    "batches",
    "default_augmentation",
    "default_segmentation_augmentation",
    "default_standardization",
    "load",
    "load_masks",
    "load_tensors",
    "loader",
    "segmentation_batches",
    "tensor_batches",
]
_MODULES = {
    "SOURCES": "sources",
    "Augmentation": "augment",
    "default_augmentation": "augment",
    "Fold": "drawn_part",
    "Examples": "examples",
    "TensorSplits": "examples",
    "Images": "images",
    "Splits": "images",
    "load": "load_dataset",
    "load_masks": "load_segmentation",
    "load_tensors": "load_arrays",
    "loader": "torch_loader",
    "MaskedImages": "masked_images",
    "MaskedSplits": "masked_images",
    "SegmentationAugmentation": "segmentation_augment",
    "default_segmentation_augmentation": "segmentation_augment",
    "SegmentationLoader": "segmentation_loader",
    "segmentation_batches": "segmentation_loader",
    "Standardization": "standardization",
    "default_standardization": "standardization",
    "TensorLoader": "tensor_loader",
    "tensor_batches": "tensor_loader",
    "Loader": "train_loader",
    "batches": "train_loader",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use, so that the list of sources can be read without torch."""
    if name not in _MODULES:
        raise AttributeError(f"module 'selfdistill.data' has no attribute {name!r}")
    return getattr(importlib.import_module(f"selfdistill.data.{_MODULES[name]}"), name)
