"""Distillation in a training loop of one's own."""
