"""Branches: the layers of a model behind a tap, as a network."""

from collections.abc import Mapping

from torch import Size, Tensor, nn

from selfdistill.errors import UserError
from selfdistill.features.anatomy import Anatomy
from selfdistill.features.hooks import FeatureHooks
from selfdistill.features.logits import logits_of
from selfdistill.features.model_copy import copy_model
from selfdistill.features.trace import ModuleCall, Trace
from selfdistill.terms import ModelOutputs


class Branch(nn.Module):
    """A reinitialized copy of a model's layers behind a tap; earlier modules return zeros of their shape.

    Called with the tap's canonical activation, it returns `ModelOutputs`: logits, embedding and the
    stages behind the tap. Weights are drawn from torch's global generator. Parameters without gradient
    are frozen. Raises `UserError` if the layers behind the tap do not run by themselves.
    """

    def __init__(self, model: nn.Module, trace: Trace, anatomy: Anatomy, tap: str):
        super().__init__()
        stage = anatomy.stage(tap)
        self.layout, self.output = stage.layout, anatomy.output
        self.images = trace.images.shape[1:]
        self.network = reinitialize(copy_model(model)).train()
        self.entry = BranchInput()
        for call in _outermost_before(trace.calls, stage.path):
            self.network.set_submodule(call.path, Stub(call.shape))
        self.network.set_submodule(stage.path, self.entry)
        end = _finish_order(trace, stage.path)
        deeper = [each.name for each in anatomy.stages if _finish_order(trace, each.path) > end]
        names = [*deeper, *(["embedding"] if anatomy.classifier else [])]
        self.taps = FeatureHooks(self.network, anatomy, names)
        self._freeze_unused(stage.shape, tap)

    def forward(self, features: Tensor) -> ModelOutputs:
        """Run the layers behind the tap on its activation [B, D, H, W] or [B, N, D]."""
        self.taps.record()
        self.entry.features = self.layout.from_canonical(features)
        images = features.new_zeros(()).expand(len(features), *self.images)
        logits = logits_of(self.network(images), self.output)
        self.entry.features = None
        recorded = self.taps.take()
        return ModelOutputs(logits, recorded.pop("embedding", None), recorded)

    def _freeze_unused(self, shape: Size, tap: str) -> None:
        """Freeze parameters without gradient: DDP waits for the gradient of every trainable one."""
        example = next(self.network.parameters()).new_zeros(shape).requires_grad_()
        try:
            self(example).logits.sum().backward()
        except Exception as error:  # a model with replaced layers may raise anything
            raise UserError(
                f"the layers behind {tap!r} do not run by themselves: {type(error).__name__}: {error}; pass another tap"
            ) from error
        for each in self.network.parameters():
            each.requires_grad_(each.grad is not None)
            each.grad = None
        for module in self.network.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase):
                module.reset_running_stats()


class Stub(nn.Module):
    """A module that returns zeros of a recorded shape, in place of an unused one."""

    def __init__(self, shape: Size):
        super().__init__()
        self.shape = tuple(shape[1:])

    def forward(self, *inputs: Tensor, **_: Tensor) -> Tensor:
        """Return zeros for the rows of the input."""
        return inputs[0].new_zeros(()).expand(len(inputs[0]), *self.shape)


class BranchInput(nn.Module):
    """The branch's input: a module that returns the given features."""

    def __init__(self) -> None:
        super().__init__()
        self.features: Tensor | None = None

    def forward(self, *_: Tensor, **__: Tensor) -> Tensor | None:
        """Return the given features."""
        return self.features


def _finish_order(trace: Trace, path: str) -> int:
    """Return the order of a module's last call."""
    return max(call.order for call in trace.calls if call.path == path)


def _outermost_before(calls: list[ModuleCall], path: str) -> list[ModuleCall]:
    """Return the outermost calls that finished before the tap, without its parents and children."""
    at = next(call.order for call in calls if call.path == path)
    before = {call.path: call for call in calls if call.order < at and not f"{path}.".startswith(f"{call.path}.")}
    return [call for name, call in before.items() if not _inside(name, {**before, path: call})]


def _inside(name: str, others: Mapping[str, object]) -> bool:
    parents = [name.rsplit(".", k)[0] for k in range(1, name.count(".") + 1)]
    return any(parent in others for parent in parents)


def reinitialize(network: nn.Module) -> nn.Module:
    """Reset the parameters of every layer with `reset_parameters`; others (a position embedding) stay copies.

    Draws come from torch's global generator: fork it around the call.
    """
    for module in network.modules():
        reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if callable(reset):
            reset()
    return network
