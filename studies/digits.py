"""Self-distillation on real handwritten digits, measured in every way there is: minutes on two cores.

    selfdistill study studies/digits.py --workers 2 --report

Eight methods with the labels as they are and with two of five wrong, each beside its own heads and passes without
distillation, and beside cross-entropy at equal compute. Random noise stands for images of other classes.
"""

from selfdistill.study import Grid, RunConfig

STUDY = Grid(
    methods=[
        *["ce()", "label_smoothing()", "mixup()", "lightskd()"],
        *["csd()", "scd()", "cs_kd()", "byot()"],
    ],
    models=["resnet8"],
    label_noise=[0.0, 0.4],
    seeds=range(5),
    recipe=RunConfig("ce()", data="digits", epochs=20, validation=0.1),
    controls=True,
    equal_compute=True,
    metrics=["all"],
    ood="fake:classes=10,size=8",
)
