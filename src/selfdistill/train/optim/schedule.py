"""Learning-rate schedule: warm-up, then cosine, linear, step or no decay."""

import math

from selfdistill.train.config import RunConfig


def learning_rate(step: int, steps: int, steps_per_epoch: int, config: RunConfig) -> float:
    """Return the learning rate at `step` of `steps`: linear warm-up, then the decay of the schedule.

    "cosine" and "linear" end at zero, "step" lowers the rate at the milestones, "constant" keeps it.
    """
    warmup = config.warmup * steps_per_epoch
    if step < warmup:
        return config.lr * (step + 1) / warmup
    if config.schedule == "step":
        return config.lr * config.gamma ** sum(step >= share * steps for share in config.milestones)
    if config.schedule == "constant":
        return config.lr
    passed, all_steps = step - warmup, max(steps - warmup, 1)
    if config.schedule == "linear":
        return config.lr * (1 - passed / all_steps)
    return config.lr * (1 + math.cos(math.pi * passed / all_steps)) / 2  # in this order: earlier runs have these bits
