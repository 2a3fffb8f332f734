"""Export of the student of a finished run, with a description of its inputs and classes."""

from selfdistill.export.logits_only import LogitsOnly
from selfdistill.export.student import Exported, export

__all__ = ["Exported", "LogitsOnly", "export"]
