"""A screening on Oxford Flowers: 89 classes, 26 training images each, two seeds, methods at their defaults.

    selfdistill study studies/flowers_screening.py --workers 2

`data/flowers` holds Parquet files of 2,765 training and 2,772 test images of 64 pixels, read at 32. The study shows
where to look, not which method is best: two seeds prove nothing. It takes two to five minutes per run on one thread of
a CPU with bfloat16 arithmetic.
"""

from selfdistill.study import Grid, RunConfig

STUDY = Grid(
    methods=[
        *["ce()", "label_smoothing()", "csd()", "csd(weight=3.0)", "lightskd()", "byot()", "cs_kd()"],
        *["dsr()", "drg()", "mixup()", "cutmix()", "ema()", "sad()", "ps_kd()", "ddgsd()", "dlb()", "max_entropy()"],
        *["scd(weight=3.0)", "one()", "virtual_softmax()", "adacos()", "stkd()"],
    ],
    seeds=range(2),
    recipe=RunConfig(
        "ce()",
        data="parquet:data/flowers",
        size=32,
        model="timm/resnet10t",
        epochs=30,
        batch_size=64,
        lr=0.05,
        precision="bf16",
    ),
)
