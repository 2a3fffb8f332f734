"""Companion networks of the student: teachers, averages, lagged copies and peers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import cast

import torch
from torch import Size, Tensor, nn

from selfdistill.errors import UserError
from selfdistill.features import Anatomy, read_anatomy
from selfdistill.features.branch import reinitialize
from selfdistill.features.hooks import FeatureHooks
from selfdistill.features.logits import LogitsKey, logits_of
from selfdistill.features.model_copy import copy_model
from selfdistill.functional import ema_update
from selfdistill.inputs import Inputs, call_model, device_of, num_rows, token_mask
from selfdistill.method import Method
from selfdistill.method.networks import EMATeacher, LaggedStudent, PeerNetwork, Role, Teacher
from selfdistill.rng import fork_rng_named
from selfdistill.step.precision import at_least_fp32
from selfdistill.terms import ForwardPass, LinearClassifier, ModelOutputs


class CompanionNetwork(nn.Module):
    """A network that gets the student's inputs; `tap_names` are the activations that terms read."""

    anatomy: Anatomy | None  # None without taps

    def __init__(self, network: nn.Module, inputs: Inputs, tap_names: Sequence[str], output: LogitsKey | None = None):
        super().__init__()
        self.shapes, self.taps, self.output, self.anatomy = {}, None, output, None
        if tap_names:  # a network without taps is not traced
            self.anatomy = anatomy = read_anatomy(network, inputs, output=output)
            names = list(dict.fromkeys(name for tap in tap_names for name in anatomy.expand_tap(tap)))
            self.shapes = {name: Size((num_rows(inputs), *anatomy.stage(name).shape[1:])) for name in names}
            self.taps = FeatureHooks(network, anatomy, names)
        self.network = network

    def forward(self, inputs: Inputs) -> ModelOutputs:
        """Run a pass over inputs and return its outputs."""
        if self.taps is not None:
            self.taps.record(token_mask(inputs))
        logits = logits_of(call_model(self.network, inputs), self.output)
        features = {} if self.taps is None else self.taps.take()
        return ModelOutputs(logits, features.pop("embedding", None), features, inputs)

    def classify(self, embedding: Tensor) -> Tensor:
        """Apply the network's classifier to embeddings, with their gradient. [*, D] -> [*, C].

        Raises `UserError` if no term taps the network's embedding, or the network has no classifier.
        """
        if self.anatomy is None or self.anatomy.classifier is None:
            raise UserError(
                "a term applies the classifier of another network; name 'embedding' in the taps of its pass"
            )
        if embedding.shape[-1] != self.anatomy.classifier_row.numel():
            raise UserError(
                f"a term applies the classifier of {self.anatomy.model} to {embedding.shape[-1]} channels, but it "
                f"reads {self.anatomy.classifier_row.numel()}; take a network that ends in a global average and a "
                "linear layer"
            )
        return apply_classifier(self.network, self.anatomy, embedding)

    def linear_classifier(self) -> LinearClassifier:
        """Return the weight and the bias of the network's classifier, without gradient.

        Raises `UserError` if no term taps the network's embedding, or its classifier is not linear.
        """
        if self.anatomy is None or not self.anatomy.linear:
            found = f"that of {self.anatomy.model} is not linear" if self.anatomy else "its pass has no taps"
            raise UserError(
                f"a term reads the weight of another network's classifier, but {found}; take a network that ends in a "
                "linear layer, and name 'embedding' in the taps of its pass"
            )
        return read_linear(self.network.get_submodule(str(self.anatomy.classifier)))

    def after_step(self) -> None:
        """Update the network after the optimizer's step."""

    def close(self) -> None:
        """Remove the hooks and restore the network."""
        if self.taps is not None:
            self.taps.close()


def apply_classifier(network: nn.Module, anatomy: Anatomy, embedding: Tensor) -> Tensor:
    """Apply a network's classifier to embeddings in their shape, in float32 at least. [*, D] -> [*, C]."""
    module = network.get_submodule(str(anatomy.classifier))
    inputs = embedding.to(next(module.parameters()).dtype).reshape(-1, *anatomy.classifier_row)
    return at_least_fp32(module(inputs)).reshape(*embedding.shape[:-1], -1)


def read_linear(module: nn.Module) -> LinearClassifier:
    """Return the weight, which may be computed, and the bias of a linear layer."""
    weight = at_least_fp32(cast(Tensor, module.weight).detach()).flatten(1)
    bias = weight.new_zeros(len(weight)) if module.bias is None else cast(Tensor, module.bias).detach()
    return LinearClassifier(weight, at_least_fp32(bias))


class FrozenNetwork(CompanionNetwork):
    """A network without gradient that stays in eval mode."""

    def __init__(self, network: nn.Module, inputs: Inputs, tap_names: Sequence[str], output: LogitsKey | None = None):
        super().__init__(network, inputs, tap_names, output)
        self._modes = {module: module.training for module in network.modules()}
        self._trained = [name for name, each in network.named_parameters() if each.requires_grad]
        self.network.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> "FrozenNetwork":
        """Stay in eval mode, so that running statistics do not change."""
        return super().train(False)

    def close(self) -> None:
        """Restore the training modes and `requires_grad` flags of the network."""
        super().close()
        for module, mode in self._modes.items():
            module.training = mode
        for name in self._trained:
            self.network.get_parameter(name).requires_grad_()


class FollowingNetwork(FrozenNetwork):
    """Base of frozen copies that are updated from another network after each optimizer step."""

    steps: Tensor

    def __init__(self, source: nn.Module, inputs: Inputs, tap_names: Sequence[str], output: LogitsKey | None = None):
        super().__init__(copy_model(source), inputs, tap_names, output)
        self._source = (source,)  # in a tuple, so that it is not registered as a submodule
        self.register_buffer("steps", torch.zeros((), device=device_of(inputs)))

    @torch.no_grad()
    def after_step(self) -> None:
        """Update each weight and buffer from the source network."""
        self.steps += 1
        for own, new in zip(_state(self.network), _state(self._source[0]), strict=True):
            own.copy_(self._updated(own, new))

    def _updated(self, own: Tensor, new: Tensor) -> Tensor:
        """Return the updated (EMA or copied) weight."""
        raise NotImplementedError


class EMANetwork(FollowingNetwork):
    """An exponential moving average of another network; integer buffers are copied."""

    def __init__(
        self, source: nn.Module, decay: float, inputs: Inputs, tap_names: Sequence[str], output: LogitsKey | None = None
    ):
        super().__init__(source, inputs, tap_names, output)
        self.decay = decay

    def _updated(self, own: Tensor, new: Tensor) -> Tensor:
        """Return the updated EMA weight."""
        return ema_update(own, new, self.steps, self.decay) if own.is_floating_point() else new


class LaggedCopy(FollowingNetwork):
    """A copy of another network, updated every `every` steps."""

    def __init__(
        self, source: nn.Module, every: int, inputs: Inputs, tap_names: Sequence[str], output: LogitsKey | None = None
    ):
        super().__init__(source, inputs, tap_names, output)
        self.every = every

    def _updated(self, own: Tensor, new: Tensor) -> Tensor:
        """Return the copied weight every `every` steps, else the old one."""
        return torch.where(self.steps % self.every == 0, new, own)


def _state(network: nn.Module) -> Iterator[Tensor]:
    return chain(network.parameters(), network.buffers())


def make_companion(
    role: Role,
    given: nn.Module | None,
    source_network: nn.Module,
    inputs: Inputs,
    tap_names: Sequence[str],
    output: LogitsKey | None = None,
) -> CompanionNetwork:
    """Make the network of a role: from the network given by the caller, or from a copy of its source.

    `output` names the logits in the output of the source network.
    """
    if isinstance(role, EMATeacher):
        return EMANetwork(source_network, role.decay, inputs, tap_names, output)
    if isinstance(role, LaggedStudent):
        return LaggedCopy(source_network, role.every, inputs, tap_names, output)
    if isinstance(role, PeerNetwork):
        if given is not None:
            return CompanionNetwork(given, inputs, tap_names)
        return CompanionNetwork(reinitialize(copy_model(source_network)), inputs, tap_names, output)
    if given is None:
        raise UserError("a teacher must be given")
    return FrozenNetwork(given, inputs, tap_names)


def build_companions(
    method: Method,
    given: Mapping[str, nn.Module] | None,
    student: nn.Module,
    views: Iterable[ForwardPass],
    inputs: Inputs,
    seed: int,
    output: LogitsKey | None = None,
) -> dict[str, CompanionNetwork]:
    """Build the companion network of each role of the method."""
    given = dict(given or {})
    if extra := given.keys() - method.networks.keys():
        raise UserError(f"{method.text} has no role for the network {min(extra)!r}; leave it out")
    companions: dict[str, CompanionNetwork] = {}
    for name, role in sorted(method.networks.items(), key=lambda each: isinstance(each[1], LaggedStudent)):
        _require_given(name, role, given, student, method.text)
        source = getattr(role, "of", "student")
        source_network = student if source == "student" else companions[source].network
        tap_names = list(dict.fromkeys(tap for view in views if view.network == name for tap in view.taps))
        with fork_rng_named(f"{seed}:{name}"):
            companions[name] = make_companion(role, given.get(name), source_network, inputs, tap_names, output)
    return companions


def _require_given(name: str, role: Role, given: Mapping[str, nn.Module], student: nn.Module, text: str) -> None:
    """Raise `UserError` for a missing teacher, or a network that shares weights with the student."""
    network = given.get(name)
    if isinstance(role, Teacher) and not isinstance(network, nn.Module):
        raise UserError(
            f"{text} needs a {name}: pass networks={{'{name}': a trained model}}, or name one in the "
            f"method of a run, as in {text.split('(')[0]}({name}='runs/NAME')"
        )
    if network is not None and {*map(id, network.parameters())} & {*map(id, student.parameters())}:
        raise UserError(
            f"the {name} shares weights with the student, and would freeze them; pass a copy.deepcopy of it"
        )
