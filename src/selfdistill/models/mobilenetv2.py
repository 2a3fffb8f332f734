"""MobileNetV2 for small images (https://arxiv.org/abs/1801.04381), at half width as in the distillation literature."""

from torch import Tensor, nn

from selfdistill.models.layers import Pooled, conv_norm, conv_norm_relu, initialised

# expansion, width before halving, blocks, stride of the first; the first strides are 1, as 32 pixels are few
STAGES = ((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
SHARE = 0.5  # of the paper's widths


class Inverted(nn.Module):
    """Widen, convolve each channel alone, narrow again; a shortcut where the shape stays."""

    def __init__(self, width: int, out: int, expansion: int, stride: int):
        super().__init__()
        wide = width * expansion
        widen = [conv_norm_relu(width, wide, 1)] if expansion > 1 else []
        depthwise = conv_norm_relu(wide, wide, 3, stride, groups=wide)
        self.residual = nn.Sequential(*widen, depthwise, *conv_norm(wide, out, 1))
        self.joins = stride == 1 and width == out

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, H, W] -> [B, D', H', W']."""
        narrow = self.residual(features)
        return features + narrow if self.joins else narrow


class MobileNetV2(nn.Module):
    """A strided stem, stages of inverted residuals, a wide last layer, a linear classifier."""

    def __init__(self, classes: int):
        super().__init__()
        width = int(32 * SHARE)
        self.stem = conv_norm_relu(3, width, 3, stride=2)
        stages = []
        for expansion, out, depth, stride in STAGES:
            outs = int(out * SHARE)
            blocks = [Inverted(width if k == 0 else outs, outs, expansion, stride if k == 0 else 1) for k in range(depth)]
            stages.append(nn.Sequential(*blocks))
            width = outs
        self.stages = nn.Sequential(*stages)
        self.last = conv_norm_relu(width, 1280, 1)
        self.pool = Pooled()
        self.fc = nn.Linear(1280, classes)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> logits [B, C]."""
        return self.fc(self.pool(self.last(self.stages(self.stem(images)))))


def mobilenetv2(classes: int) -> nn.Module:
    """MobileNetV2 at half width."""
    return initialised(MobileNetV2(classes))


NETWORKS = {"mobilenetv2": mobilenetv2}
