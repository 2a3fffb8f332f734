"""Memory layouts of activations, and their conversion to canonical ones."""

from enum import Enum

from torch import Size, Tensor, nn

from selfdistill.features.trace import ModuleCall

CHANNELS_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)
WIDTHS = ("out_channels", "out_features", "num_features", "num_channels", "embedding_dim", "hidden_size")


class Layout(Enum):
    """A model's own order of dimensions.

    Canonical are maps [B, D, H, W], volumes [B, D, T, H, W], tokens [B, N, D] and vectors [B, D]. A signal's map
    [B, D, L] gets a width of 1, [B, D, L, 1], so that three dimensions are always tokens.
    """

    CHANNELS_FIRST = "channels first"
    CHANNELS_LAST = "channels last"
    SIGNAL = "signal"
    TOKENS = "tokens"
    VECTOR = "vector"
    OTHER = "other"

    def resolution(self, shape: Size) -> int:
        """Return the number of positions of an activation."""
        return shape[1] if self is Layout.TOKENS else self.canonical_shape(shape)[2:].numel()

    def canonical_shape(self, shape: Size) -> Size:
        """Convert an activation's shape to a canonical one."""
        if self is Layout.CHANNELS_LAST:
            return Size((shape[0], shape[-1], *shape[1:-1]))
        return Size((*shape, 1)) if self is Layout.SIGNAL else shape

    def to_canonical(self, activation: Tensor) -> Tensor:
        """Convert an activation to the canonical order of dimensions."""
        if self is Layout.CHANNELS_LAST:
            return activation.movedim(-1, 1)
        return activation.unsqueeze(3) if self is Layout.SIGNAL else activation

    def from_canonical(self, activation: Tensor) -> Tensor:
        """Convert a canonical activation to the model's own order."""
        if self is Layout.CHANNELS_LAST:
            return activation.movedim(1, -1)
        return activation.squeeze(3) if self is Layout.SIGNAL else activation


def layout_of(call: ModuleCall) -> Layout | None:
    """Return the layout of a module's output; None for neither a map, tokens nor a vector.

    The channels are the dimension as wide as the last layer with parameters. Where both the first and the last
    dimension are, or neither (a concatenation), a convolution's or its norm's come first, and a square map tells.
    """
    match len(call.shape):
        case 2:
            return Layout.VECTOR
        case 3:
            return Layout.SIGNAL if is_signal(call.shape, call.layer) else Layout.TOKENS
        case 4 | 5:
            return _map_layout(call)
    return None


def is_signal(shape: Size, layer: nn.Module | None) -> bool:
    """Return True for a signal [B, D, L] of a last layer, False for tokens [B, N, D]."""
    _, first, last = shape
    wide = _width(layer)
    if (first == wide) != (last == wide):
        return first == wide
    return isinstance(layer, nn.Conv1d | nn.ConvTranspose1d | nn.BatchNorm1d | nn.InstanceNorm1d | nn.GroupNorm)


def _map_layout(call: ModuleCall) -> Layout | None:
    _, first, *middle, last = call.shape
    wide = _width(call.layer)
    if (first == wide) != (last == wide):
        return Layout.CHANNELS_FIRST if first == wide else Layout.CHANNELS_LAST
    if isinstance(call.layer, CHANNELS_FIRST) or type(call.layer).__name__.endswith("2d"):  # timm's LayerNorm2d
        return Layout.CHANNELS_FIRST
    if {first, *middle} == {last} or last == wide:  # of a linear layer or a layer norm
        return Layout.CHANNELS_LAST
    if {*middle} == {last}:
        return Layout.CHANNELS_FIRST
    return Layout.CHANNELS_LAST if {first} == {*middle} else None


def _width(layer: nn.Module | None) -> int | None:
    """Return the number of channels that a layer outputs."""
    if isinstance(layer, nn.LayerNorm):
        return int(layer.normalized_shape[-1])
    found = next((width for name in WIDTHS if isinstance(width := getattr(layer, name, None), int)), None)
    return 2 * found if found and getattr(layer, "bidirectional", False) else found
