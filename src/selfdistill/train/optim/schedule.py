"""The learning rate at a step."""

import math

from selfdistill.train.config import RunConfig


def learning_rate(step: int, steps: int, steps_per_epoch: int, config: RunConfig) -> float:
    """The rate at `step` of `steps`: linear warm-up, then a cosine to zero or steps down."""
    warmup = config.warmup * steps_per_epoch
    if step < warmup:
        return config.lr * (step + 1) / warmup
    if config.schedule == "step":
        return config.lr * config.gamma ** sum(step >= share * steps for share in config.milestones)
    return config.lr * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1))) / 2
