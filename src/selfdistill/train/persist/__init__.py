"""Checkpoints, best weights and the lock of a run's folder."""
