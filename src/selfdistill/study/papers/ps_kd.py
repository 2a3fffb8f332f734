"""PS-KD's comparison on CIFAR-100."""

from selfdistill.study.papers.published import BEST_EPOCH, Missing, Published, column
from selfdistill.train.config import RunConfig

MODEL = "preact_resnet18"
METHODS = ("ce()", "label_smoothing()", "cs_kd()", "ps_kd()")


PS_KD = Published(
    title="Progressive self-distillation on CIFAR-100, PreAct ResNet-18",
    source="https://github.com/lgcnsai/PS-KD-Pytorch, README, results on CIFAR-100",
    reported=BEST_EPOCH,
    recipe=RunConfig(
        "ce()",
        data="cifar100",
        model=MODEL,
        epochs=300,
        batch_size=128,
        schedule="step",
        milestones=(0.5, 0.75),
    ),
    images=50_000,
    cells=(
        *column(MODEL, dict(zip(METHODS, (24.18, 20.94, 21.30, 20.82), strict=True)), "top-1 error"),
        *column(MODEL, dict(zip(METHODS, (6.90, 6.02, 5.70, 5.10), strict=True)), "top-5 error"),
        *column(MODEL, dict(zip(METHODS, (1.10, 0.98, 0.88, 0.76), strict=True)), "NLL"),
        *column(MODEL, dict(zip(METHODS, (11.84, 10.79, 6.24, 1.77), strict=True)), "ECE"),
    ),
    missing=(
        Missing("PreAct ResNet-18 with TF-KD 22.88", "the source states neither the variant nor its weights"),
        Missing("PreAct ResNet-101: CE 20.75, PS-KD 19.43", "we have no PreAct ResNet-101 for 32 pixels"),
        Missing("DenseNet-121: CE 20.05, PS-KD 18.73", "we have no DenseNet for 32 pixels"),
        Missing("ResNeXt-29: CE 18.65, PS-KD 17.28", "we have no ResNeXt-29"),
        Missing("PyramidNet-200: CE 16.80, PS-KD 15.49", "we have no PyramidNet"),
    ),
)
