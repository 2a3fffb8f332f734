"""A training step: forward passes, losses, and the memories of terms."""

from selfdistill.step.distiller import Distiller, LossTerms, Step, is_distillation_loss

__all__ = ["Distiller", "LossTerms", "Step", "is_distillation_loss"]
