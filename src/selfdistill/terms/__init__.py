"""The contract of a loss term, and shared kinds of terms: feature pairs, branches, memory banks, transforms."""

from selfdistill.terms.memory import Memory, TableUpdate
from selfdistill.terms.rows import EXAMPLES, Pool, Rows
from selfdistill.terms.term import (
    CLASSIFIED,
    BuildContext,
    CrossEntropy,
    ForwardPass,
    LinearClassifier,
    LossTerm,
    LossValue,
    ModelOutputs,
    Progress,
    Requirement,
    StepContext,
    TaskLoss,
    TrainingInfo,
    label_loss,
)

__all__ = [
    "CLASSIFIED",
    "EXAMPLES",
    "BuildContext",
    "CrossEntropy",
    "ForwardPass",
    "LinearClassifier",
    "LossTerm",
    "LossValue",
    "Memory",
    "ModelOutputs",
    "Pool",
    "Progress",
    "Requirement",
    "Rows",
    "StepContext",
    "TableUpdate",
    "TaskLoss",
    "TrainingInfo",
    "label_loss",
]
