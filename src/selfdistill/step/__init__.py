"""One step of training: the passes that the terms ask for, and what is remembered of them."""

from selfdistill.step.distiller import Distiller, LossTerms, Step, is_distillation_loss

__all__ = ["Distiller", "LossTerms", "Step", "is_distillation_loss"]
