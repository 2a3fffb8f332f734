"""One step of training: the passes that the terms ask for, and what is remembered of them."""

from selfdistill.step.distiller import Distiller, Step, Terms, imitates

__all__ = ["Distiller", "Step", "Terms", "imitates"]
