"""BAKE's result on CIFAR-100."""

from selfdistill.study.papers.published import BEST_EPOCH, Missing, Published, column
from selfdistill.train.config import RunConfig

BAKE = Published(
    title="Batch knowledge ensembling on CIFAR-100, ResNet-18",
    source="https://github.com/yxgeee/BAKE, small_scale/README, top-1 error on CIFAR-100",
    reported=BEST_EPOCH,
    recipe=RunConfig(
        "ce()",
        data="cifar100",
        model="preact_resnet18",
        epochs=200,
        batch_size=128,
        nesterov=False,
        weight_decay=1e-4,
        schedule="step",
        milestones=(0.505, 0.755),
    ),
    images=50_000,
    cells=column("preact_resnet18", {"bake()": 21.28}, "top-1 error"),
    missing=(Missing("DenseNet-121 with BAKE 20.74", "we have no DenseNet for 32 pixels"),),
    differs=("its PreAct ResNet-18 ends without BatchNorm and ReLU",),
)
