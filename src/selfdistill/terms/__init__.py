"""The contract of a loss term, and shared kinds of terms: feature pairs, branches, memory banks, transforms."""

from selfdistill.terms.memory import Memory, TableUpdate
from selfdistill.terms.term import (
    BuildContext,
    CrossEntropy,
    ForwardPass,
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
    "BuildContext",
    "CrossEntropy",
    "ForwardPass",
    "LossTerm",
    "LossValue",
    "Memory",
    "ModelOutputs",
    "Progress",
    "Requirement",
    "StepContext",
    "TableUpdate",
    "TaskLoss",
    "TrainingInfo",
    "label_loss",
]
