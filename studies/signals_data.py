"""Signals of eight classes in an .npz file: a chirp or a tone of one of four frequencies, in noise, on two channels."""

import sys

import numpy as np

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
    noise = draws.normal(0, 1.5, (count, 2, LENGTH))
    return (np.stack([tone, delayed], axis=1) + noise).astype(np.float32), labels


if __name__ == "__main__":
    (x_train, y_train), (x_test, y_test) = signals(800, seed=1), signals(2000, seed=2)
    np.savez_compressed(sys.argv[1], x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
