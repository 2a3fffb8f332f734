"""From a name to batches: sources, splits, augmentation, loaders. Knows no method."""

from selfdistill.data.augment import Augmentation, default_augmentation
from selfdistill.data.images import Images, Splits
from selfdistill.data.load import load
from selfdistill.data.loader import Loader, batches
from selfdistill.data.sources import SOURCES
from selfdistill.data.torch_loader import loader

__all__ = ["SOURCES", "Augmentation", "Images", "Loader", "Splits", "batches", "default_augmentation", "load", "loader"]
