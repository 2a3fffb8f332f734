"""Named inner activations of a model, kept only during a pass."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from selfdistill.features.anatomy import Anatomy, Stage
from selfdistill.features.layout import Layout


class FeatureHooks:
    """Hooks that keep what named modules put out between `record()` and `take()`.

    Names are those of `Anatomy.stage`; "embedding" is what the classifier takes in. A module that is
    called twice shows its last answer. Attach before torch.compile: a hook added to a compiled module
    is silently ignored. Raises `UserError` for an unknown name, before any hook is set.
    """

    def __init__(self, model: nn.Module, anatomy: Anatomy, names: Sequence[str]):
        self.kept, self.names = RecordedFeatures(), tuple(names)
        stages = {name: anatomy.stage(name) for name in names}
        self.hooks = [self._attach(model, name, stage) for name, stage in stages.items()]

    def record(self) -> None:
        """Start a pass."""
        self.kept.features = {}

    def take(self) -> dict[str, Tensor]:
        """End the pass; give each tap's [B, D, H, W], [B, N, D] or [B, D], and hold nothing any more."""
        features, self.kept.features = self.kept.features, None
        return features or {}

    def close(self) -> None:
        """Take every hook off the model."""
        for each in self.hooks:
            each.remove()

    def _attach(self, model: nn.Module, name: str, stage: Stage) -> RemovableHandle:
        module = model.get_submodule(stage.path)
        if name == "embedding":
            return module.register_forward_pre_hook(EmbeddingHook(self.kept))
        return module.register_forward_hook(StageHook(self.kept, name, stage.layout))


class RecordedFeatures:
    """Where hooks put what they see; None between passes. A copy of it is one that nobody reads."""

    def __init__(self) -> None:
        self.features: dict[str, Tensor] | None = None

    def __reduce__(self) -> tuple:
        return RecordedFeatures, ()  # a model that is pickled or copied while it is taught carries idle hooks


class StageHook:
    """Keeps a module's output."""

    def __init__(self, kept: RecordedFeatures, name: str, layout: Layout):
        self.kept, self.name, self.layout = kept, name, layout

    def __call__(self, module: nn.Module, inputs: tuple, output: Tensor) -> None:
        """Keep the output under this tap's name, while a pass is recorded."""
        if self.kept.features is not None:
            self.kept.features[self.name] = self.layout.to_canonical(output)


class EmbeddingHook:
    """Keeps what the classifier takes in, as [B, D]."""

    def __init__(self, kept: RecordedFeatures):
        self.kept = kept

    def __call__(self, module: nn.Module, inputs: tuple) -> None:
        """Keep the first input as the embedding, while a pass is recorded."""
        if self.kept.features is not None:
            self.kept.features["embedding"] = inputs[0].flatten(1)
