"""Self-distillation on real handwritten digits: minutes on two cores.

    selfdistill study studies/digits.py --workers 2

Each method beside its own heads and passes without distillation, and beside cross-entropy at equal compute. All
measures are then taken; images of random noise stand for those of other classes.
"""

from selfdistill.study import Grid, RunConfig

STUDY = Grid(
    methods=["ce()", "label_smoothing()", "lightskd()", "csd()", "cs_kd()", "byot()"],
    models=["resnet8", "resnet20"],
    seeds=range(3),
    recipe=RunConfig("ce()", data="digits", epochs=20, validation=0.1),
    controls=True,
    equal_compute=True,
    measures=["all"],
    ood="fake:classes=10,size=8",
)
