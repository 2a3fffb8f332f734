"""What a term is, and what terms share: pairs of stages or embeddings, branches, banks, views."""

from selfdistill.terms.term import (
    Asked,
    Batch,
    Clock,
    CrossEntropy,
    Facts,
    Memory,
    Mix,
    Outputs,
    Parts,
    Rows,
    Seen,
    Term,
    Value,
    View,
    label_loss,
)

__all__ = [
    "Asked",
    "Batch",
    "Clock",
    "CrossEntropy",
    "Facts",
    "Memory",
    "Mix",
    "Outputs",
    "Parts",
    "Rows",
    "Seen",
    "Term",
    "Value",
    "View",
    "label_loss",
]
