"""The methods of the source papers and their rivals on CIFAR-100, by the literature's recipe and with five seeds.

    selfdistill study studies/cifar100.py --engine ray --address auto

Two hundred epochs of ResNet-18 and a wide network: about 150 runs, for several GPUs. Ten per cent of the training
images are held out, so that whatever is chosen is not chosen on the test set.
"""

from selfdistill.study import Grid, RunConfig

STUDY = Grid(
    methods=[
        "ce()",
        *["label_smoothing()", "virtual_softmax()", "adacos()", "max_entropy()", "mixup()"],
        *["scd()", "lightskd()", "stkd()", "csd()"],
        *["sad()", "byot()", "ddgsd()", "cs_kd()", "ps_kd()"],
    ],
    models=["resnet18", "wrn-16-4"],
    data=["cifar100"],
    seeds=range(5),
    recipe=RunConfig(
        "ce()",
        epochs=200,
        batch_size=128,
        lr=0.1,
        weight_decay=5e-4,
        schedule="step",
        milestones=(0.5, 0.75),
        warmup=5,
        validation=0.1,
    ),
    equal_compute=True,
)
