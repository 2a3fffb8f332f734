"""What a term is, and what terms share: pairs of stages or embeddings, branches, banks, views."""

from selfdistill.terms.term import (
    Clock,
    CrossEntropy,
    Facts,
    Memory,
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
    "Clock",
    "CrossEntropy",
    "Facts",
    "Memory",
    "Outputs",
    "Parts",
    "Rows",
    "Seen",
    "Term",
    "Value",
    "View",
    "label_loss",
]
