"""Class centers on photographs of similar classes: CUB-200, Stanford Dogs and MIT67, from scratch, three seeds.

    selfdistill study studies/csd_photos.py
    SMALL=1 selfdistill study studies/csd_photos.py --workers 2

`data/cub`, `data/dogs` and `data/mit67` hold JPEG files in train/CLASS and test/CLASS folders. Random resized crops of
224 pixels, ResNet-18 with ImageNet's stem, and the methods that CSD was compared with. Its abstract gives no optimizer
or schedule; those here are of the published code of CS-KD on the same data sets (the recipe "fine-grained"), and so is
its weight of 3, which `csd()` has here as well. It is for a GPU.

With SMALL set, a smaller network sees crops of 64 pixels of at most 1,000 photographs in 10 epochs: it shows that all
of it runs, not which method is best.
"""

import os
from dataclasses import replace

from selfdistill.study import Grid, RunConfig

FULL = RunConfig.from_recipe("fine-grained", "ce()", model="timm/resnet18")
SMALL = replace(FULL, model="timm/resnet10t", size=64, limit=1000, epochs=10)

STUDY = Grid(
    methods=[
        *["ce()", "label_smoothing()", "virtual_softmax()", "adacos()", "max_entropy()"],
        *["cs_kd(weight=3.0)", "csd(weight=3.0)"],
    ],
    data=["folder:data/cub", "folder:data/dogs", "folder:data/mit67"],
    seeds=range(3),
    recipe=SMALL if os.environ.get("SMALL") else FULL,
    metrics=["basic"],
)
