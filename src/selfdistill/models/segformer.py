"""SegFormer (https://arxiv.org/abs/2105.15203) of transformers, from a configuration without a download."""

from typing import NamedTuple

from torch import nn


class Scale(NamedTuple):
    """Sizes of a SegFormer as published."""

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    decoder: int


NARROW, WIDE = (32, 64, 160, 256), (64, 128, 320, 512)
SCALES = {
    "segformer-b0": Scale((2, 2, 2, 2), NARROW, 256),
    "segformer-b1": Scale((2, 2, 2, 2), WIDE, 256),
    "segformer-b2": Scale((3, 4, 6, 3), WIDE, 768),
    "segformer-b3": Scale((3, 4, 18, 3), WIDE, 768),
    "segformer-b4": Scale((3, 8, 27, 3), WIDE, 768),
    "segformer-b5": Scale((3, 6, 40, 3), WIDE, 768),
}


def names() -> list[str]:
    """List the networks."""
    return list(SCALES)


def build(name: str, classes: int, size: int, pretrained: bool) -> nn.Module:
    """Build a network [B, 3, H, W] -> an object with `logits` [B, C, H/4, W/4].

    `pretrained` loads the encoder that was trained on ImageNet.
    """
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    scale = SCALES[name]
    config = SegformerConfig(depths=[*scale.depths], hidden_sizes=[*scale.widths], decoder_hidden_size=scale.decoder)
    config.num_labels = classes
    encoder = name.replace("segformer-", "nvidia/mit-")
    network: nn.Module = (
        SegformerForSemanticSegmentation.from_pretrained(encoder, config=config)
        if pretrained
        else SegformerForSemanticSegmentation(config)
    )
    return network
