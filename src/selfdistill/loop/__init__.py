"""Distillation in a custom training loop."""
