"""CS-KD's comparison on CIFAR-100 with a ResNet-18."""

from selfdistill.study.papers.published import Published, PublishedValue, column
from selfdistill.train.config import RunConfig

MODEL = "preact_resnet18"

CS_KD = Published(
    title="Class-wise self-distillation and output regularisation on CIFAR-100, ResNet-18",
    source="https://arxiv.org/abs/2003.13964, error rates on CIFAR-100 with ResNet-18",
    reported="mean and standard deviation of three runs where given; the code keeps the best epoch on the test set",
    recipe=RunConfig(
        "ce()",
        data="cifar100",
        model=MODEL,
        epochs=200,
        batch_size=128,
        nesterov=False,
        weight_decay=1e-4,
        schedule="step",
        milestones=(0.505, 0.755),
    ),
    images=50_000,
    cells=(
        PublishedValue(MODEL, "ce()", 24.71, "top-1 error", 0.24),
        PublishedValue(MODEL, "cs_kd()", 21.99, "top-1 error", 0.13),
        *column(
            MODEL,
            {
                "ce()": 6.91,
                "adacos()": 9.99,
                "virtual_softmax()": 8.54,
                "max_entropy()": 7.29,
                "label_smoothing()": 7.18,
                "cs_kd()": 5.69,
            },
            "top-5 error",
        ),
    ),
    differs=(
        "its PreAct ResNet-18 ends without BatchNorm and ReLU",
        "the weights of the compared methods are our defaults",
    ),
)
