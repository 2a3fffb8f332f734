"""Forward hooks that record named activations of a model during a pass."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from selfdistill.features.anatomy import Anatomy, Stage
from selfdistill.features.layout import Layout


class FeatureHooks:
    """Hooks that record the outputs of named modules between `record()` and `take()`.

    Names are those of `Anatomy.stage`; "embedding" is the classifier's input. For a module called
    twice the last output counts. Attach before torch.compile: a hook added to a compiled module
    is silently ignored. Raises `UserError` for an unknown name, before any hook is set.
    """

    def __init__(self, model: nn.Module, anatomy: Anatomy, names: Sequence[str]):
        self.recorded, self.names = RecordedFeatures(), tuple(names)
        stages = {name: anatomy.stage(name) for name in names}
        self.hooks = [self._attach(model, name, stage) for name, stage in stages.items()]

    def record(self) -> None:
        """Start recording a pass."""
        self.recorded.features = {}

    def take(self) -> dict[str, Tensor]:
        """Stop recording; return each tap's [B, D, H, W], [B, N, D] or [B, D] and release them."""
        features, self.recorded.features = self.recorded.features, None
        return features or {}

    def close(self) -> None:
        """Remove every hook from the model."""
        for each in self.hooks:
            each.remove()

    def _attach(self, model: nn.Module, name: str, stage: Stage) -> RemovableHandle:
        module = model.get_submodule(stage.path)
        if name == "embedding":
            return module.register_forward_pre_hook(EmbeddingHook(self.recorded))
        return module.register_forward_hook(StageHook(self.recorded, name, stage.layout))


class RecordedFeatures:
    """Storage of recorded activations; None between passes. Copies and pickles are empty."""

    def __init__(self) -> None:
        self.features: dict[str, Tensor] | None = None

    def __reduce__(self) -> tuple[type["RecordedFeatures"], tuple[()]]:
        return RecordedFeatures, ()  # a model pickled or copied during training carries idle hooks


class StageHook:
    """Forward hook that records a module's output."""

    def __init__(self, recorded: RecordedFeatures, name: str, layout: Layout):
        self.recorded, self.name, self.layout = recorded, name, layout

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Record the output under this tap's name."""
        if self.recorded.features is not None:
            self.recorded.features[self.name] = self.layout.to_canonical(output)


class EmbeddingHook:
    """Forward pre-hook that records the classifier's input as [B, D]."""

    def __init__(self, recorded: RecordedFeatures):
        self.recorded = recorded

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Record the first input as the embedding."""
        if self.recorded.features is not None:
            self.recorded.features["embedding"] = inputs[0].flatten(1)
