"""Self-KD-Lib's comparison on CIFAR-100 with a PreAct ResNet-18."""

from selfdistill.study.papers.published import BEST_EPOCH, Missing, Published, column
from selfdistill.train.config import RunConfig

SELF_KD_LIB = Published(
    title="Self-distillation, regularisation and augmentation on CIFAR-100, PreAct ResNet-18",
    source="https://github.com/winycg/Self-KD-Lib, README, top-1 accuracy on ResNet-18",
    reported=BEST_EPOCH,
    recipe=RunConfig(
        "ce()",
        data="cifar100",
        model="preact_resnet18",
        epochs=200,
        batch_size=128,
        schedule="step",
        milestones=(0.525, 0.775),
        warmup=5,
    ),
    images=50_000,
    cells=column(
        "preact_resnet18",
        {
            "ce()": 76.24,
            "ddgsd()": 76.61,
            "dks()": 78.64,
            "sad()": 76.40,
            "byot()": 77.88,
            "cs_kd()": 78.66,
            "frskd()": 77.71,
            "ps_kd()": 79.31,
            "bake()": 76.93,
            "mixskd()": 80.32,
            "label_smoothing()": 78.72,
            "virtual_softmax(bias=True)": 78.54,
            "focal()": 76.19,
            "max_entropy(weight=0.5, mean='all')": 76.50,
            "cutout()": 76.66,
            "mixup()": 78.68,
            "cutmix()": 80.17,
        },
    ),
    missing=(
        Missing("Tf-KD-reg 76.61", "the source's code is a different function, with almost no effect on the loss"),
        Missing(
            "Random Erase 76.75, AutoAugment 77.97, RandAugment 76.86, AugMix 76.22, TrivialAugment 76.03",
            "we have no such augmentation",
        ),
    ),
    differs=(
        "its PreAct ResNet-18 ends without BatchNorm and ReLU",
        "heads, weights and details of each method are ours, as listed on its card",
    ),
)
