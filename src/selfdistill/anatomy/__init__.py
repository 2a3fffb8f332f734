"""Reading a model: its stages, embedding and classifier; taps on it, and what follows a tap."""

from selfdistill.anatomy.anatomy import Anatomy, Stage, read

__all__ = ["Anatomy", "Stage", "read"]
