"""Branches: the layers of a model behind a tap, as a network."""

from collections.abc import Mapping

import torch
from torch import Size, Tensor, nn

from selfdistill.errors import UserError
from selfdistill.features.anatomy import Anatomy
from selfdistill.features.hooks import FeatureHooks
from selfdistill.features.logits import logits_of
from selfdistill.features.model_copy import copy_model
from selfdistill.features.trace import TRACED_ROWS, ModuleCall, Trace
from selfdistill.inputs import Inputs, call_model, floats_to, map_tensors, tensors, token_mask
from selfdistill.terms import ModelOutputs


class Branch(nn.Module):
    """A reinitialized copy of a model's layers behind a tap; earlier modules return zeros of their output's shape.

    Called with the outputs of a pass, it continues from the tap's activation, with the inputs of the same rows (a
    mask, or what enters later), and returns `ModelOutputs`: logits, embedding and the stages behind the tap. Weights
    are drawn from torch's global generator. Parameters without gradient are frozen. Raises `UserError` if the layers
    behind the tap do not run by themselves.
    """

    def __init__(self, model: nn.Module, trace: Trace, anatomy: Anatomy, tap: str):
        super().__init__()
        stage = anatomy.stage(tap)
        self.tap, self.layout, self.output = tap, stage.layout, anatomy.output
        self.network = reinitialize(copy_model(model)).train()
        end = max((call for call in trace.calls if call.path == stage.path), key=lambda call: call.order)
        self.entry = BranchInput(end.structure, stage.place)
        for call in _outermost_before(trace.calls, stage.path):
            self.network.set_submodule(call.path, Stub(call, self.entry))
        self.network.set_submodule(stage.path, self.entry)
        deeper = [each.name for each in anatomy.stages if _finish_order(trace, each.path) > end.order]
        names = [*deeper, *(["embedding"] if anatomy.classifier else [])]
        self.taps = FeatureHooks(self.network, anatomy, names)
        self._freeze_unused(stage.shape, trace.inputs)

    def forward(self, outputs: ModelOutputs) -> ModelOutputs:
        """Run the layers behind the tap on its activation in `outputs`."""
        self.taps.record(token_mask(outputs.inputs))
        self.entry.features = self.layout.from_canonical(outputs.features[self.tap])
        logits = logits_of(call_model(self.network, floats_to(outputs.inputs, outputs.logits)), self.output)
        self.entry.features = None
        recorded = self.taps.take()
        return ModelOutputs(logits, recorded.pop("embedding", None), recorded, outputs.inputs)

    def _freeze_unused(self, shape: Size, inputs: Inputs) -> None:
        """Freeze parameters without gradient: DDP waits for the gradient of every trainable one."""
        # one row more than traced: what was recorded must follow the batch
        example = next(self.network.parameters()).new_zeros((TRACED_ROWS + 1, *shape[1:])).requires_grad_()
        rows = map_tensors(lambda each: torch.cat([each, each[:1]]).detach(), inputs)
        try:
            self(ModelOutputs(example, None, {self.tap: example}, rows)).logits.sum().backward()
        except Exception as error:  # a model with replaced layers may raise anything
            raise UserError(
                f"the layers behind {self.tap!r} do not run by themselves: {type(error).__name__}: {error}; "
                "pass another tap"
            ) from error
        for each in self.network.parameters():
            each.requires_grad_(each.grad is not None)
            each.grad = None
        for module in self.network.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase):
                module.reset_running_stats()


class BranchInput(nn.Module):
    """The branch's input: a module that returns the given features, in the structure of the recorded output."""

    features: Tensor | None = None

    def __init__(self, structure: object, place: int):
        super().__init__()
        self.structure, self.place = _on_meta(structure), place

    def forward(self, *_: object, **__: object) -> object:
        """Return the given features, beside zeros for the output's other tensors."""
        values = iter([self.given if k == self.place else self.zeros(v) for k, v in enumerate(tensors(self.structure))])
        return map_tensors(lambda _: next(values), self.structure)

    @property
    def given(self) -> Tensor:
        """The features of the running pass."""
        assert self.features is not None
        return self.features

    def zeros(self, recorded: Tensor) -> Tensor:
        """Return zeros of a recorded shape for the rows of the features."""
        zero = torch.zeros((), dtype=recorded.dtype, device=self.given.device)
        per_row = recorded.dim() > 0 and len(recorded) == TRACED_ROWS
        return zero.expand(len(self.given), *recorded.shape[1:]) if per_row else zero.expand(recorded.shape)


class Stub(nn.Module):
    """A module that returns zeros of the recorded output, in place of an unused one.

    Attributes of the replaced module, such as a weight's dtype, are those of a copy on the meta device: a pass that
    computes with a replaced weight raises an error.
    """

    def __init__(self, call: ModuleCall, entry: BranchInput):
        super().__init__()
        self.structure = _on_meta(call.structure)
        self._entry, self._replaced = (entry,), (copy_model(call.module).to("meta"),)  # in tuples: no submodules

    def forward(self, *_: object, **__: object) -> object:
        """Return zeros for the rows of the branch's input."""
        return map_tensors(self._entry[0].zeros, self.structure)

    def __getattr__(self, name: str) -> Tensor | nn.Module:
        replaced = self.__dict__.get("_replaced")
        if replaced is None or name.startswith("__"):  # a graph's own `__deepcopy__` would copy the graph
            return super().__getattr__(name)
        found: Tensor | nn.Module = getattr(replaced[0], name)
        return found


def _on_meta(structure: object) -> object:
    """Return the structure with tensors on the meta device: their shapes alone are read."""
    return map_tensors(lambda each: each.detach().to("meta"), structure)


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
