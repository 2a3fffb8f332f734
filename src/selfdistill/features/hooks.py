"""Forward hooks that record named activations of a model during a pass."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from selfdistill.features.anatomy import Anatomy, Stage
from selfdistill.inputs import tensors


class FeatureHooks:
    """Hooks that record the outputs of named modules between `record()` and `take()`.

    Names are those of `Anatomy.stage`; "embedding" is the classifier's input. For a module called
    twice the last output counts. Attach before torch.compile: a hook added to a compiled module
    is silently ignored. Raises `UserError` for an unknown name, before any hook is set.
    """

    def __init__(self, model: nn.Module, anatomy: Anatomy, names: Sequence[str]):
        self.recorded, self.names, self.dense = RecordedFeatures(), tuple(names), anatomy.dense
        stages = {name: anatomy.stage(name) for name in names}
        self.hooks = [self._attach(model, name, stage) for name, stage in stages.items()]

    def record(self, mask: Tensor | None = None) -> None:
        """Start recording a pass; `mask` [B, N] is 0 at the tokens of padding, which are recorded as zeros."""
        self.recorded.features, self.recorded.mask = {}, mask

    def take(self) -> dict[str, Tensor]:
        """Stop recording; return each tap's canonical activation and release them."""
        features, self.recorded.features, self.recorded.mask = self.recorded.features, None, None
        return features or {}

    def close(self) -> None:
        """Remove every hook from the model."""
        for each in self.hooks:
            each.remove()

    def _attach(self, model: nn.Module, name: str, stage: Stage) -> RemovableHandle:
        module = model.get_submodule(stage.path)
        if name == "embedding":
            return module.register_forward_pre_hook(EmbeddingHook(self.recorded, self.dense), with_kwargs=True)
        return module.register_forward_hook(StageHook(self.recorded, name, stage))


class RecordedFeatures:
    """Storage of recorded activations; None between passes. Copies and pickles are empty."""

    def __init__(self) -> None:
        self.features: dict[str, Tensor] | None = None
        self.mask: Tensor | None = None

    def add(self, name: str, activation: Tensor) -> None:
        """Record an activation; tokens of padding become zeros."""
        if self.features is not None:
            self.features[name] = activation if self.mask is None else _masked(activation, self.mask)

    def __reduce__(self) -> tuple[type["RecordedFeatures"], tuple[()]]:
        return RecordedFeatures, ()  # a model pickled or copied during training carries idle hooks


def _masked(activation: Tensor, mask: Tensor) -> Tensor:
    """Zero the tokens of padding. [B, N, D], [B, N] -> [B, N, D]; other activations pass unchanged."""
    are_tokens = activation.dim() == 3 and activation.shape[:2] == mask.shape
    return activation.masked_fill(mask[:, :, None] == 0, 0.0) if are_tokens else activation


class StageHook:
    """Forward hook that records a tensor of a module's output."""

    def __init__(self, recorded: RecordedFeatures, name: str, stage: Stage):
        self.recorded, self.name, self.layout, self.place = recorded, name, stage.layout, stage.place

    def __call__(self, module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        """Record the activation under this tap's name."""
        if self.recorded.features is not None:
            self.recorded.add(self.name, self.layout.to_canonical(tensors(output)[self.place]))


class EmbeddingHook:
    """Forward pre-hook that records the classifier's input as [B, D]; of a model of pixels or tokens as it is."""

    def __init__(self, recorded: RecordedFeatures, dense: bool):
        self.recorded, self.dense = recorded, dense

    def __call__(self, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Record the only tensor that the classifier takes."""
        if self.recorded.features is not None:
            embedding = tensors((args, kwargs))[0]
            self.recorded.features["embedding"] = embedding if self.dense else embedding.flatten(1)
