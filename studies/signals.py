"""Six ways to train a small convolutional network of 1-D signals, five seeds.

`python studies/signals_data.py signals.npz` writes the signals.
"""

from torch import nn

from selfdistill import Grid, RunConfig


def network(classes):
    """Build a network of three stages, [B, 2, L] -> [B, C]."""
    return nn.Sequential(
        stage(2, 16), stage(16, 32), stage(32, 64), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, classes)
    )


def stage(c_in, c_out):
    """Build two convolutions and a pooling. [B, C, L] -> [B, D, L / 2]."""
    return nn.Sequential(
        nn.Conv1d(c_in, c_out, 7, padding=3, bias=False),
        nn.BatchNorm1d(c_out),
        nn.ReLU(),
        nn.Conv1d(c_out, c_out, 7, padding=3, bias=False),
        nn.BatchNorm1d(c_out),
        nn.ReLU(),
        nn.MaxPool1d(2),
    )


STUDY = Grid(
    methods=["ce()", "label_smoothing()", "mixup()", "drg()", "lightskd()", "csd()"],
    seeds=range(5),
    recipe=RunConfig(
        "ce()", data="tensors:signals.npz", model="signals:network", epochs=30, batch_size=32, validation=0.1
    ),
    metrics=["basic", "knn", "cost"],
)
