"""Common layout of the networks in this package: stem, layer1 …, neck, classifier."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from torch import Tensor, nn

Block = Callable[[int, int, int], nn.Module]  # (channels in, channels out, stride)


def network(
    stem: nn.Module, layers: Iterable[nn.Module], classifier: nn.Linear, closing: Sequence[nn.Module] = ()
) -> nn.Sequential:
    """Build a network [B, 3, H, W] -> [B, C] with children `stem`, `layer1` …, `neck`, `classifier`.

    The neck is `closing` and global average pooling; it outputs the embedding [B, D]. Convolutions are
    initialized as in https://arxiv.org/abs/1502.01852.
    """
    numbered = {f"layer{number}": layer for number, layer in enumerate(layers, start=1)}
    neck = nn.Sequential(*closing, GlobalAveragePool())
    children = OrderedDict(stem=stem, **numbered, neck=neck, classifier=classifier)
    return nn.Sequential(children).apply(initialize)


def pyramid(
    block: Block, widths: Sequence[int], counts: Sequence[int], strides: Sequence[int] = (1, 2, 2, 2)
) -> list[nn.Sequential]:
    """Build one stage for each count of blocks; `widths` begins with the width of the stem."""
    steps = zip(pairwise(widths), counts, strides[: len(counts)], strict=True)
    return [stage(block, c_in, c_out, count, stride) for (c_in, c_out), count, stride in steps]


def stage(block: Block, c_in: int, c_out: int, count: int, stride: int) -> nn.Sequential:
    """Chain blocks of one width, the first of them with the stride."""
    return nn.Sequential(block(c_in, c_out, stride), *(block(c_out, c_out, 1) for _ in range(count - 1)))


class GlobalAveragePool(nn.Module):
    """Mean over positions; unlike adaptive pooling, with a deterministic gradient on a GPU."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D]."""
        return features.mean(dim=(2, 3))


def initialize(module: nn.Module) -> None:
    """Initialize a convolution as in https://arxiv.org/abs/1502.01852; other modules stay."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
