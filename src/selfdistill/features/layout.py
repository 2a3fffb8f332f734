"""Memory layouts of activations, and their conversion to canonical ones."""

from enum import Enum

from torch import Size, Tensor, nn

from selfdistill.features.trace import ModuleCall

CHANNELS_FIRST = (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d)


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
    """Return the layout of a module's output; None for neither a map nor tokens.

    The channels of a map are the dimension as wide as the last layer with parameters. Where both the first and the last
    dimension are, or neither (a concatenation), a convolution's or its norm's come first, and a square map tells.
    """
    if len(call.shape) == 3:
        return Layout.TOKENS
    if len(call.shape) != 4:
        return None
    _, first, middle, last = call.shape
    wide = _width(call.layer)
    if (first == wide) != (last == wide):
        return Layout.NCHW if first == wide else Layout.NHWC
    if isinstance(call.layer, CHANNELS_FIRST) or type(call.layer).__name__.endswith("2d"):  # timm's LayerNorm2d
        return Layout.NCHW
    if first == middle == last or last == wide:  # of a linear layer or a layer norm
        return Layout.NHWC
    if middle == last:
        return Layout.NCHW
    return Layout.NHWC if first == middle else None


def _width(layer: nn.Module | None) -> int | None:
    """Return how many channels a layer gives."""
    if isinstance(layer, nn.LayerNorm):
        return int(layer.normalized_shape[-1])
    names = ("out_channels", "out_features", "num_features", "num_channels", "embedding_dim")
    found = [getattr(layer, name) for name in names if isinstance(getattr(layer, name, None), int)]
    return found[0] if found else None
