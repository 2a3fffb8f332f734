"""mdistiller's results for DKD and DOT on CIFAR-100."""

from dataclasses import replace

from selfdistill.study.papers.crd import RECIPE
from selfdistill.study.papers.published import BEST_EPOCH, Missing, Published, PublishedValue

DKD_WEIGHTS = (  # teacher, student, the source's beta, expected
    ("resnet56", "resnet20", 2.0, 71.97),
    ("resnet110", "resnet32", 2.0, 74.11),
    ("resnet32x4", "resnet8x4", 8.0, 76.32),
    ("wrn-40-2", "wrn-16-2", 6.0, 76.23),
    ("wrn-40-2", "wrn-40-1", 6.0, 74.81),
    ("vgg13", "vgg8", 6.0, 74.68),
)
DKD = Published(
    title="Decoupled knowledge distillation on CIFAR-100",
    source="https://github.com/megvii-research/mdistiller, README, decoupled knowledge distillation",
    reported=BEST_EPOCH,
    recipe=replace(RECIPE, model="resnet8x4"),
    images=50_000,
    cells=tuple(
        PublishedValue(
            student, f"kd(teacher='{teacher}', divergence='dkd', alpha=1.0, beta={beta}, warmup=20.0)", value
        )
        for teacher, student, beta, value in DKD_WEIGHTS
    ),
    missing=(
        Missing("students MobileNetV2 and ShuffleNet", "their learning rate differs from their teachers'"),
        Missing("the tables on ImageNet", "their images are larger than 32 pixels"),
    ),
    differs=("each seed trains its own teacher",),
)

DOT = Published(
    title="Two momenta for distillation on CIFAR-100",
    source="https://github.com/megvii-research/mdistiller, README, a distillation-oriented trainer",
    reported=BEST_EPOCH,
    recipe=replace(RECIPE, model="resnet8x4"),
    images=50_000,
    cells=tuple(
        PublishedValue(student, f"kd(teacher='{teacher}'){more}", value)
        for teacher, student, alone, both in (
            ("resnet32x4", "resnet8x4", 73.33, 75.12),
            ("vgg13", "vgg8", 72.98, 73.77),
        )
        for more, value in (("", alone), (" + dot()", both))
    ),
    missing=(
        Missing("the student ShuffleNetV2", "its learning rate differs from its teacher's"),
        Missing("the tables on Tiny-ImageNet and ImageNet", "their images are larger than 32 pixels"),
    ),
    differs=("each seed trains its own teacher",),
)
