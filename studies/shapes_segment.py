"""Seven ways to train a U-Net of pixels: drawn shapes on textures, 400 images of 32 pixels, three seeds.

selfdistill study studies/shapes_segment.py --workers 2 --report
"""

from selfdistill import Grid, RunConfig

STUDY = Grid(
    methods=["ce()", "label_smoothing()", "kd()", "sad()", "csd()", "dsr()", "drg()"],
    seeds=range(3),
    recipe=RunConfig(
        "ce()",
        data="shapes:segment,size=32,train=400,test=300",
        model="unet-16",
        epochs=30,
        batch_size=16,
        lr=0.1,
        validation=0.1,
    ),
    metrics=["basic", "class_iou", "cost"],
)
