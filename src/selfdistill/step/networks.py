"""The networks beside the student, each with taps of its own and one pass however many terms ask."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import torch
from torch import Size, Tensor, nn

from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.features.branch import reinitialize
from selfdistill.features.hooks import FeatureHooks
from selfdistill.features.logits import LogitsKey, logits_of
from selfdistill.features.model_copy import copy_model
from selfdistill.functional import ema_update
from selfdistill.method import Method
from selfdistill.method.networks import EMATeacher, LaggedStudent, PeerNetwork, Role, Teacher
from selfdistill.rng import fork_rng_named
from selfdistill.terms import ForwardPass, ModelOutputs


class CompanionNetwork(nn.Module):
    """A network that is shown what the student is shown; `tapped` names what terms read inside it."""

    def __init__(self, network: nn.Module, images: Tensor, tapped: Sequence[str], output: LogitsKey | None = None):
        super().__init__()
        self.shapes, self.taps, self.output = {}, None, output
        if tapped:  # a network that nobody looks into may be of any kind
            found = read_anatomy(network, images, output=output)
            names = list(dict.fromkeys(name for tap in tapped for name in found.spelled_out(tap)))
            self.shapes = {name: Size((len(images), *found.stage(name).shape[1:])) for name in names}
            self.taps = FeatureHooks(network, found, names)
        self.network = network

    def forward(self, images: Tensor) -> ModelOutputs:
        """Give what a pass shows. images [B, 3, H, W]."""
        if self.taps is None:
            return ModelOutputs(logits_of(self.network(images), self.output), None, {})
        self.taps.record()
        logits = logits_of(self.network(images), self.output)
        features = self.taps.take()
        return ModelOutputs(logits, features.pop("embedding", None), features)

    def after_step(self) -> None:
        """Follow what the optimizer did."""

    def close(self) -> None:
        """Leave the network as it came."""
        if self.taps is not None:
            self.taps.close()


class FrozenNetwork(CompanionNetwork):
    """A network that never trains, whatever mode its owner is put in."""

    def __init__(self, network: nn.Module, images: Tensor, tapped: Sequence[str], output: LogitsKey | None = None):
        super().__init__(network, images, tapped, output)
        self._modes = {module: module.training for module in network.modules()}
        self._trained = [name for name, each in network.named_parameters() if each.requires_grad]
        self.network.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "FrozenNetwork":
        """Stay in eval mode, so that no running statistic moves."""
        return super().train(False)

    def close(self) -> None:
        """Give the network back the modes and gradients it came with."""
        super().close()
        for module, mode in self._modes.items():
            module.training = mode
        for name in self._trained:
            self.network.get_parameter(name).requires_grad_()


class FollowingNetwork(FrozenNetwork):
    """Base of frozen copies that are updated from another network after each optimizer step."""

    steps: Tensor

    def __init__(self, of: nn.Module, images: Tensor, tapped: Sequence[str], output: LogitsKey | None = None):
        super().__init__(copy_model(of), images, tapped, output)
        self._of = (of,)  # in a tuple, so that it is not registered as a submodule
        self.register_buffer("steps", torch.zeros((), device=images.device))

    @torch.no_grad()
    def after_step(self) -> None:
        """Update each weight and buffer from the followed network."""
        self.steps += 1
        for own, new in zip(_state(self.network), _state(self._of[0]), strict=True):
            own.copy_(self._followed(own, new))

    def _followed(self, own: Tensor, new: Tensor) -> Tensor:
        """Return the updated (EMA or copied) weight."""
        raise NotImplementedError


class EMANetwork(FollowingNetwork):
    """An exponential moving average of another network; integer buffers are copied."""

    def __init__(
        self, of: nn.Module, decay: float, images: Tensor, tapped: Sequence[str], output: LogitsKey | None = None
    ):
        super().__init__(of, images, tapped, output)
        self.decay = decay

    def _followed(self, own: Tensor, new: Tensor) -> Tensor:
        """Return the updated EMA weight."""
        return ema_update(own, new, self.steps, self.decay) if own.is_floating_point() else new


class LaggedCopy(FollowingNetwork):
    """A copy of another network, renewed every `every` steps."""

    def __init__(
        self, of: nn.Module, every: int, images: Tensor, tapped: Sequence[str], output: LogitsKey | None = None
    ):
        super().__init__(of, images, tapped, output)
        self.every = every

    def _followed(self, own: Tensor, new: Tensor) -> Tensor:
        """Return the copied weight every `every` steps, else the old one."""
        return torch.where(self.steps % self.every == 0, new, own)


def _state(network: nn.Module) -> Iterator[Tensor]:
    return chain(network.parameters(), network.buffers())


def make_companion(
    role: Role,
    given: nn.Module | None,
    followed: nn.Module,
    images: Tensor,
    tapped: Sequence[str],
    output: LogitsKey | None = None,
) -> CompanionNetwork:
    """The network that plays a role: given by the caller, or made from the one it follows.

    `output` names the logits in what the followed network returns.
    """
    if isinstance(role, EMATeacher):
        return EMANetwork(followed, role.decay, images, tapped, output)
    if isinstance(role, LaggedStudent):
        return LaggedCopy(followed, role.every, images, tapped, output)
    if isinstance(role, PeerNetwork):
        if given is not None:
            return CompanionNetwork(given, images, tapped)
        return CompanionNetwork(reinitialize(copy_model(followed)), images, tapped, output)
    if given is None:
        raise UserError("a teacher must be given")
    return FrozenNetwork(given, images, tapped)


def build_companions(
    method: Method,
    given: Mapping[str, nn.Module] | None,
    student: nn.Module,
    views: Iterable[ForwardPass],
    images: Tensor,
    seed: int,
    output: LogitsKey | None = None,
) -> dict[str, CompanionNetwork]:
    """Build the companion network of each role of the method."""
    given = dict(given or {})
    if extra := given.keys() - method.networks.keys():
        raise UserError(f"{method.text} has no role for the network {min(extra)!r}; leave it out")
    found: dict[str, CompanionNetwork] = {}
    for name, role in sorted(method.networks.items(), key=lambda each: isinstance(each[1], LaggedStudent)):
        _require_given(name, role, given, student, method.text)
        of = getattr(role, "of", "student")
        followed = student if of == "student" else found[of].network
        tapped = list(dict.fromkeys(tap for view in views if view.network == name for tap in view.taps))
        with fork_rng_named(f"{seed}:{name}"):
            found[name] = make_companion(role, given.get(name), followed, images, tapped, output)
    return found


def _require_given(name: str, role: Role, given: Mapping[str, nn.Module], student: nn.Module, text: str) -> None:
    """Raise `UserError` for a role that nobody plays, or that the student plays itself."""
    network = given.get(name)
    if isinstance(role, Teacher) and not isinstance(network, nn.Module):
        raise UserError(
            f"{text} needs a {name}: pass networks={{'{name}': a trained model}}, or name one in a run "
            f"of the command, as in {text.split('(')[0]}({name}='runs/NAME')"
        )
    if network is not None and {*map(id, network.parameters())} & {*map(id, student.parameters())}:
        raise UserError(
            f"the {name} shares weights with the student, and would freeze them; pass a copy.deepcopy of it"
        )
