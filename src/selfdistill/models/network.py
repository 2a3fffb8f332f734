"""The frame of every network here: stem, layer1 …, neck, classifier."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from torch import Tensor, nn

Block = Callable[[int, int, int], nn.Module]  # (channels in, channels out, stride)


def network(
    stem: nn.Module, layers: Iterable[nn.Module], classifier: nn.Linear, closing: Sequence[nn.Module] = ()
) -> nn.Sequential:
    """Images [B, 3, H, W] -> logits [B, C], through children `stem`, `layer1` …, `neck`, `classifier`.

    The neck is what follows the last layer (`closing`) and the mean over positions; it gives the
    embedding [B, D]. Convolutions are drawn as in https://arxiv.org/abs/1502.01852.
    """
    numbered = {f"layer{number}": layer for number, layer in enumerate(layers, start=1)}
    neck = nn.Sequential(*closing, Mean())
    children = OrderedDict(stem=stem, **numbered, neck=neck, classifier=classifier)
    return nn.Sequential(children).apply(_draw)


def pyramid(
    block: Block, widths: Sequence[int], counts: Sequence[int], strides: Sequence[int] = (1, 2, 2, 2)
) -> list[nn.Sequential]:
    """Make one stage for each count of blocks; `widths` begins with the stem's."""
    steps = zip(pairwise(widths), counts, strides[: len(counts)], strict=True)
    return [stage(block, inside, out, count, stride) for (inside, out), count, stride in steps]


def stage(block: Block, inside: int, out: int, count: int, stride: int) -> nn.Sequential:
    """Chain blocks of one width, the first of them with the stride."""
    return nn.Sequential(block(inside, out, stride), *(block(out, out, 1) for _ in range(count - 1)))


class Mean(nn.Module):
    """The mean over positions; unlike adaptive pooling, its gradient is deterministic on a GPU."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D]."""
        return features.mean(dim=(2, 3))


def _draw(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
