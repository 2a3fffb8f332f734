"""Tf-KD's self-training on CIFAR-100."""

from selfdistill.study.papers.published import BEST_EPOCH, Missing, Published, column
from selfdistill.train.config import RunConfig

TF_KD = Published(
    title="Teacher-free distillation by self-training on CIFAR-100",
    source="https://github.com/yuanli2333/Teacher-free-Knowledge-Distillation, README, baselines and figure Tf-self",
    reported=BEST_EPOCH,
    recipe=RunConfig(
        "ce()",
        data="cifar100",
        model="resnet18",
        epochs=200,
        batch_size=128,
        nesterov=False,
        schedule="step",
        milestones=(0.3, 0.6, 0.8),
        gamma=0.2,
        warmup=1,
    ),
    images=50_000,
    cells=(
        *column(
            "resnet18",
            {"ce()": 75.87, "tf_kd(alpha=0.95, temperature=6.0, multiplier=50.0, mean='all')": 77.10},
        ),
        *column("mobilenetv2", {"ce()": 68.38, "tf_kd(alpha=0.95, temperature=20.0, mean='all')": 70.96}),
        *column("shufflenetv2", {"ce()": 70.34, "tf_kd(alpha=0.95, temperature=20.0, mean='all')": 72.23}),
    ),
    missing=(
        Missing("GoogLeNet 78.72, 80.17", "we have no GoogLeNet for 32 pixels"),
        Missing("DenseNet-121 79.04, 80.26", "we have no DenseNet for 32 pixels"),
        Missing("ResNeXt-29 81.03, 82.08", "we have no ResNeXt-29"),
    ),
    differs=(
        "the source also rotates images by up to 15 degrees",
        "our MobileNetV2 and ShuffleNetV2 are RepDistiller's",
    ),
)
