"""Progress, timing and health of a training run."""
