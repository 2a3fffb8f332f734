"""Seven ways to train tags: several drawn shapes in a picture, 1,000 images of 32 pixels, three seeds.

selfdistill study studies/shapes_tag.py --workers 2 --report
"""

from selfdistill import Grid, RunConfig

STUDY = Grid(
    methods=["ce()", "label_smoothing()", "kd()", "sad()", "byot()", "lightskd()", "drg()"],
    seeds=range(3),
    recipe=RunConfig(
        "ce()",
        data="shapes:tag,size=32,train=1000,test=1000",
        model="resnet8",
        epochs=20,
        validation=0.1,
    ),
    metrics=["basic", "tag_f1", "cost"],
)
