"""Reading a model: its stages, embedding and classifier; taps on it, and what follows a tap."""

from selfdistill.features.anatomy import Anatomy, Stage, read_anatomy

__all__ = ["Anatomy", "Stage", "read_anatomy"]
