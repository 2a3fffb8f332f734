"""Learning-rate schedule: warm-up, then cosine or step decay."""

import math

from selfdistill.train.config import RunConfig


def learning_rate(step: int, steps: int, steps_per_epoch: int, config: RunConfig) -> float:
    """Return the learning rate at `step` of `steps`: linear warm-up, then cosine decay to zero or step decay."""
    warmup = config.warmup * steps_per_epoch
    if step < warmup:
        return config.lr * (step + 1) / warmup
    if config.schedule == "step":
        return config.lr * config.gamma ** sum(step >= share * steps for share in config.milestones)
    return config.lr * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1))) / 2
