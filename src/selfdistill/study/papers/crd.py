"""RepDistiller's benchmark: a teacher and a student of one family on CIFAR-100."""

from selfdistill.study.papers.published import Missing, Published, PublishedValue
from selfdistill.train.config import RunConfig

PAIRS = (
    ("wrn-40-2", "wrn-16-2"),
    ("wrn-40-2", "wrn-40-1"),
    ("resnet56", "resnet20"),
    ("resnet110", "resnet20"),
    ("resnet110", "resnet32"),
    ("resnet32x4", "resnet8x4"),
    ("vgg13", "vgg8"),
)
TEACHERS = {"wrn-40-2": 75.61, "resnet56": 72.34, "resnet110": 74.31, "resnet32x4": 79.42, "vgg13": 74.64}
STUDENTS = {
    "wrn-16-2": 73.26,
    "wrn-40-1": 71.98,
    "resnet20": 69.06,
    "resnet32": 71.14,
    "resnet8x4": 72.50,
    "vgg8": 70.36,
}
METHODS = {  # in the order of PAIRS
    "kd": (74.92, 73.54, 70.66, 70.67, 73.08, 73.33, 72.98),
    "fitnet": (73.58, 72.24, 69.21, 68.99, 71.06, 73.50, 71.02),
    "at": (74.08, 72.77, 70.55, 70.22, 72.31, 73.44, 71.43),
    "sp": (73.83, 72.43, 69.67, 70.04, 72.69, 72.94, 72.68),
    "cc": (73.56, 72.21, 69.63, 69.48, 71.48, 72.97, 70.71),
    "vid": (74.11, 73.30, 70.38, 70.16, 72.61, 73.09, 71.23),
    "rkd": (73.35, 72.22, 69.61, 69.25, 71.82, 71.90, 71.48),
    "pkt": (74.54, 73.45, 70.34, 70.25, 72.61, 73.64, 72.88),
    "nst": (73.68, 72.24, 69.60, 69.53, 71.96, 73.30, 71.53),
    "crd": (75.48, 74.14, 71.16, 71.46, 73.48, 75.51, 73.94),
}

RECIPE = RunConfig(
    "ce()",
    data="cifar100",
    model="resnet20",
    epochs=240,
    batch_size=64,
    lr=0.05,
    nesterov=False,
    schedule="step",
    milestones=(150 / 240, 180 / 240, 210 / 240),
)

CRD = Published(
    title="Distillation from a teacher of the same family on CIFAR-100",
    source="https://github.com/HobbitLong/RepDistiller, README, benchmark results on CIFAR-100, table 1",
    reported="the last epoch; the number of runs is not stated",
    recipe=RECIPE,
    images=50_000,
    cells=(
        *(PublishedValue(model, "ce()", value) for model, value in (TEACHERS | STUDENTS).items()),
        *(
            PublishedValue(student, f"{method}(teacher='{teacher}')", value)
            for method, row in METHODS.items()
            for (teacher, student), value in zip(PAIRS, row, strict=True)
        ),
    ),
    missing=(Missing("the rows AB, FT and FSP", "we do not have these methods"),),
    differs=("each seed trains its own teacher; the source uses one teacher for all runs",),
)
