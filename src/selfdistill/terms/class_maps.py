"""Terms that compare the positions of an example by their logits."""

from collections.abc import Sequence

import torch
from torch import Tensor

from selfdistill.data.ignored import IGNORED
from selfdistill.functional import adaptive_avg_pool, present
from selfdistill.terms.term import CLASSIFIED, ForwardPass, LossTerm, StepContext

TEACHER = ForwardPass("teacher", grad=False, network="teacher", taps=(CLASSIFIED,))


class ClassMaps(LossTerm):
    """Base of terms that compare positions.

    A dense model gives their logits. Those of a classifier are W F + b at each position F of the last stage; their
    mean is its logits where it follows a global average.
    """

    reads_maps = True
    supports_tags = False  # a tag is present or absent; these compare classes

    def own_maps(self, context: StepContext) -> Tensor:
        """Return the student's logits of positions, with gradient. -> [B, C, *sides], or [B, N, C] of tokens."""
        if context.logits.dim() > 2:
            return context.logits
        weight = context.classifier_weight
        bias = context.logits - context.embedding @ weight.T  # [B, C], with its gradient
        stage = context.features[CLASSIFIED]
        rows = _classes_last(stage) @ weight.T
        return _classes_second(rows + bias.view(len(bias), *[1] * (rows.dim() - 2), -1), stage)

    def teacher_maps(self, context: StepContext) -> Tensor:
        """Return the teacher's logits of positions. -> [B, C, *sides], or [B, N, C] of tokens."""
        teacher = context.views["teacher"]
        if teacher.logits.dim() > 2:
            return teacher.logits
        stage = teacher.features[CLASSIFIED]
        return _classes_second(context.classifiers["teacher"](_classes_last(stage)), stage)

    def known(self, context: StepContext, size: Sequence[int]) -> Tensor:
        """Return True for the positions of which most have a label, and for tokens that are present. -> [B, P]."""
        labels = context.batch.labels
        shown = labels != IGNORED if labels.dim() > 1 else _present(context.features[CLASSIFIED])
        return adaptive_avg_pool(shown[:, None].to(context.logits), size).flatten(1) > 0.5


def _present(stage: Tensor) -> Tensor:
    """Return True for positions, and for tokens that are present. -> [B, *sides]."""
    return present(stage) if stage.dim() == 3 else torch.ones_like(stage[:, 0], dtype=torch.bool)


def _classes_last(features: Tensor) -> Tensor:
    """[B, D, *sides] -> [B, *sides, D]; tokens unchanged."""
    return features if features.dim() == 3 else features.movedim(1, -1)


def _classes_second(logits: Tensor, features: Tensor) -> Tensor:
    """Return to the layout of the features from which logits were computed."""
    return logits if features.dim() == 3 else logits.movedim(-1, 1)
