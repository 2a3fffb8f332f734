"""What a term is, and what terms share: pairs of stages or embeddings, branches, banks, views."""

from selfdistill.terms.term import (
    BuildContext,
    CrossEntropy,
    ForwardPass,
    LossTerm,
    LossValue,
    Memory,
    ModelOutputs,
    Progress,
    StepContext,
    TableUpdate,
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
    "StepContext",
    "TableUpdate",
    "TrainingInfo",
    "label_loss",
]
