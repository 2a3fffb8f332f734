"""A tenth of CIFAR-100 on two cores: the source papers' methods and their rivals, with five seeds.

    selfdistill study studies/cifar100_small.py --workers 2

`data/cifar100` holds the data set's parquet files as the hub has them. So few images and epochs are far from the
published recipes: it shows what happens where data is scarce and training short, and that all of it runs.
"""

from selfdistill.study import Grid, RunConfig

STUDY = Grid(
    methods=[
        *["ce()", "label_smoothing()", "mixup()"],
        *["lightskd()", "csd()", "scd()"],
        *["sad()", "byot()", "cs_kd()"],
    ],
    seeds=range(5),
    recipe=RunConfig(
        "ce()",
        data="parquet:data/cifar100",
        limit=5000,
        model="resnet20",
        epochs=12,
        batch_size=64,
        validation=0.1,
        precision="bf16",
    ),
    equal_compute=True,
)
