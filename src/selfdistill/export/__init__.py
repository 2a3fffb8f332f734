"""Export of the student of a finished run, with a description of its inputs and classes."""

from selfdistill.export.student import LogitsOnly, export

__all__ = ["LogitsOnly", "export"]
