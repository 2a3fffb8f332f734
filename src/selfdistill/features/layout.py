"""Memory layouts of activations, and their conversion to canonical ones."""

from enum import Enum

from torch import Size, Tensor, nn

from selfdistill.features.trace import ModuleCall


class Layout(Enum):
    """A model's own order of dimensions; the canonical ones are [B, D, H, W] and [B, N, D]."""

    NCHW = "nchw"
    NHWC = "nhwc"
    TOKENS = "tokens"
    OTHER = "other"

    def resolution(self, shape: Size) -> int:
        """Return the number of positions of an activation."""
        return self.canonical_shape(shape)[2:].numel() if len(shape) == 4 else shape[1]

    def canonical_shape(self, shape: Size) -> Size:
        """Convert an activation's shape to [B, D, H, W] or [B, N, D]."""
        return Size((shape[0], shape[3], shape[1], shape[2])) if self is Layout.NHWC else shape

    def to_canonical(self, activation: Tensor) -> Tensor:
        """Convert an activation to [B, D, H, W] or [B, N, D]."""
        return activation.permute(0, 3, 1, 2) if self is Layout.NHWC else activation

    def from_canonical(self, activation: Tensor) -> Tensor:
        """Convert a canonical activation to the model's own layout."""
        return activation.permute(0, 2, 3, 1) if self is Layout.NHWC else activation


def layout_of(call: ModuleCall) -> Layout | None:
    """Return the layout of a module's output; None for neither a square map nor tokens."""
    if len(call.shape) == 3:
        return Layout.TOKENS
    if len(call.shape) != 4:
        return None
    _, a, b, c = call.shape
    if a == b == c:
        return Layout.NHWC if _reads_last(call.module) else Layout.NCHW
    if b == c:
        return Layout.NCHW
    return Layout.NHWC if a == b else None


def _reads_last(module: nn.Module) -> bool:
    """True where most layers inside read the last dimension, as linear ones do, rather than the second."""
    last = sum(isinstance(each, nn.Linear | nn.LayerNorm) for each in module.modules())
    second = sum(isinstance(each, nn.Conv2d | nn.BatchNorm2d | nn.GroupNorm) for each in module.modules())
    return last > second
