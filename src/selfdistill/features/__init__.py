"""Model analysis: stages, embedding and classifier; hooks on them, and branches behind a tap."""

from selfdistill.features.anatomy import Anatomy, Stage, read_anatomy

__all__ = ["Anatomy", "Stage", "read_anatomy"]
