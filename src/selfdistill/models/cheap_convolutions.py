"""A copy of a network whose 3x3 convolutions are cheap blocks (Moonshine, https://arxiv.org/abs/1711.02613)."""

import copy
import re
from typing import NamedTuple

from torch import nn

from selfdistill.errors import UserError

FORM = re.compile(r"(?:g([1-9]\d{0,5}))?b([1-9]\d{0,5})")


class Form(NamedTuple):
    """A cheap block: channels per group of its 3x3 convolution (None: one group), and the bottleneck's divisor."""

    group: int | None
    bottleneck: int


def with_cheap_convolutions(network: nn.Module, form: str = "g8b2") -> nn.Module:
    """Return a copy of a network in which blocks replace the 3x3 convolutions, all but the first convolution.

    "g8b2" divides the output's channels by 2 within a block and convolves groups of 8 of them; "b2" has one group. The
    blocks are drawn from torch's global generator, and all other layers are copies. Raises `UserError` for another
    form, channels that it does not divide, and a network without such convolutions. Crowley et al., 2018
    (https://arxiv.org/abs/1711.02613).

    >>> from torch import nn
    >>> network = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1))
    >>> sum(each.numel() for each in with_cheap_convolutions(network)[1].parameters())
    880
    """
    made, parsed = copy.deepcopy(network), _parse(form)
    blocks: dict[nn.Module, nn.Module] = {
        each: cheap_block(each, parsed, path) for path, each in _replaceable(made).items()
    }
    if not blocks:
        raise UserError(f"{type(network).__name__} has no 3x3 convolution behind its first; use another network")
    for path, module in [*made.named_modules(remove_duplicate=False)]:
        if module in blocks:
            made.set_submodule(path, blocks[module])
    return made.train(network.training)


def cheap_block(old: nn.Conv2d, form: Form, path: str) -> nn.Sequential:
    """Make the block of a convolution: 1x1 to fewer channels, grouped 3x3, 1x1 to the output's channels.

    BatchNorm and ReLU follow the first two. Raises `UserError` that names the path if the form does not divide them.
    """
    width, rest = divmod(old.out_channels, form.bottleneck)
    group = width if form.group is None else form.group
    if rest or width == 0 or width % group:
        raise UserError(
            f"the convolution {path!r} has {old.out_channels} channels, which {_text(form)} does not divide; "
            f"take divisors such as {_text(Form(1, 1))}, or a network with other widths"
        )
    padding = old.padding if isinstance(old.padding, str) else _pair(old.padding)
    spatial = nn.Conv2d(width, width, 3, _pair(old.stride), padding, _pair(old.dilation), width // group, bias=False)
    layers = [
        *(nn.Conv2d(old.in_channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
        *(spatial, nn.BatchNorm2d(width), nn.ReLU()),
        nn.Conv2d(width, old.out_channels, 1, bias=old.bias is not None),
    ]
    return nn.Sequential(*layers).to(old.weight)


def _pair(sides: tuple[int, ...]) -> tuple[int, int]:
    high, wide = sides
    return high, wide


def _parse(form: str) -> Form:
    if not (found := FORM.fullmatch(form)):
        raise UserError(f"cheap convolutions have a form such as 'g8b2' or 'b2', not {form!r}")
    return Form(int(found[1]) if found[1] else None, int(found[2]))


def _text(form: Form) -> str:
    return repr(f"b{form.bottleneck}" if form.group is None else f"g{form.group}b{form.bottleneck}")


def _replaceable(network: nn.Module) -> dict[str, nn.Conv2d]:
    """Return the 3x3 convolutions of one group, by path; the first convolution, which reads the images, stays."""
    convolutions = {path: each for path, each in network.named_modules() if isinstance(each, nn.Conv2d)}
    return {path: each for path, each in [*convolutions.items()][1:] if _is_plain(each)}


def _is_plain(convolution: nn.Conv2d) -> bool:
    plain = type(convolution) is nn.Conv2d and convolution.padding_mode == "zeros"  # not computed by a parametrization
    return plain and convolution.kernel_size == (3, 3) and convolution.groups == 1
