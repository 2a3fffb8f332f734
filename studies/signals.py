"""Six ways to train a small convolutional network of 1-D signals, five seeds: a chirp or a tone, in noise.

python studies/signals.py signals.npz                    # writes the signals
selfdistill study studies/signals.py --workers 2 --report
"""

import sys

import numpy as np
from torch import nn

from selfdistill import Grid, RunConfig

LENGTH, CLASSES = 128, 8


def signals(count, seed):
    """Draw signals and classes. -> [N, 2, 128] float32, [N]."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, CLASSES, count)
    time = np.arange(LENGTH) / LENGTH
    cycles = 4 + 3 * (labels % 4)[:, None]
    chirp = 1 + 0.5 * (labels // 4)[:, None] * time  # the upper classes rise in frequency
    phase = draws.uniform(0, 2 * np.pi, (count, 1))
    tone = np.sin(2 * np.pi * cycles * chirp * time + phase)
    delayed = np.roll(tone, 5, axis=1)
    noise = draws.normal(0, 2.5, (count, 2, LENGTH))
    return (np.stack([tone, delayed], axis=1) + noise).astype(np.float32), labels


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

if __name__ == "__main__":
    (x_train, y_train), (x_test, y_test) = signals(400, seed=1), signals(2000, seed=2)
    np.savez_compressed(sys.argv[1], x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
