"""Classifiers of torchvision."""

from collections import OrderedDict

from torch import Tensor, nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from selfdistill.models.weights import fit


def names() -> list[str]:
    """List the classifiers of torchvision."""
    found: list[str] = models.list_models(module=models)
    return found


def build(name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    """Build a classifier of torchvision, without auxiliary heads."""
    network: nn.Module = models.get_model(name, num_classes=classes, **_settings(name, size, pretrained))
    if pretrained:
        source = models.get_model(name, weights="DEFAULT", progress=False)
        fit(network, _state(source, network), classes, source=f"torchvision/{name}")
    return network


def _settings(name: str, size: int, pretrained: bool) -> dict[str, bool | int | tuple[int, int]]:
    if name in ("googlenet", "inception_v3"):
        # Their pretrained weights expect another normalization, which they apply to the input.
        return {"aux_logits": False, "init_weights": True, "transform_input": pretrained}
    if name.startswith("vit_"):
        return {"image_size": size}
    return {"input_size": (size, size)} if name.startswith("maxvit") else {}


def _state(source: nn.Module, network: nn.Module) -> dict[str, Tensor]:
    state = OrderedDict(source.state_dict())
    if isinstance(network, VisionTransformer):
        state = interpolate_embeddings(network.image_size, network.patch_size, state)
    return {key: value for key, value in state.items() if not key.startswith(("aux", "AuxLogits"))}
