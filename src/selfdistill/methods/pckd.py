"""Preview-based Category Contrastive Learning for Knowledge Distillation (https://arxiv.org/abs/2410.14143)."""

import torch.nn.functional as F

from selfdistill import functional as f
from selfdistill.heads import CategoryHeads
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, Power, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext, pairs, transforms


class CategoryContrast(LossTerm):
    """Rotated images of a class have alike scores of both classifiers; hard images count less at first."""

    views = (*transforms.ROTATIONS, pairs.EMBEDDING, *transforms.TEACHER_ROTATIONS)
    requires, min_batch_size, reduction = ("embedding", "classifier_weight"), 2, "batch"
    supports_mixup, supports_tags, needs_labels, uses_progress = False, False, True, True

    def __init__(self, weights: tuple[float, ...], heats: tuple[float, float], growth: float):
        super().__init__()
        self.weights, self.heats, self.growth = weights, heats, growth

    def build(self, context: BuildContext) -> None:
        """Project the student's embedding in front of each classifier, and to the teacher's embedding."""
        self.heads = CategoryHeads(context.shapes["embedding"][-1], context.views["teacher"]["embedding"][-1])

    def loss(self, context: StepContext) -> LossValue:
        """Sum the contrast, the gaps of classifiers and of embeddings, and KD of upright images."""
        (rows, known), y, epoch = transforms.rotated_embeddings(context), context.batch.labels, context.progress.epoch
        own = f.affine_of_outputs(context.classifier_weight, context.embedding, context.logits)
        other = f.affine_parts(context.classifiers["teacher"], known)
        sure = f.preview_weights(F.cross_entropy(context.logits, y, reduction="none"), self.growth ** (epoch + 1))
        each, near = self.heads(rows, known, own, other, y.repeat(4), self.heats[1])
        soft = f.weighted_kl(context.logits, context.views["teacher"].logits, sure, self.heats[0])
        parts = (sure.detach().repeat(4) * each).mean(), f.affine_gap(own, other), near, soft
        return f.sum_tensors(weight * part for weight, part in zip(self.weights, parts, strict=True))


@method_constructor
def pckd(
    teacher: str | None = None,
    contrast: NonNegative = 0.05,
    classifier: NonNegative = 1.0,
    near: NonNegative = 20.0,
    kd: NonNegative = 0.0,
    temperature: Positive = 4.0,
    contrast_temperature: Positive = 4.0,
    growth: Power = 1.005,
) -> Method:
    """Contrast of rotated images by class, under the classifiers of student and teacher (Ding et al., 2025).

    >>> from selfdistill.methods import pckd
    >>> print(pckd(kd=0.5).text)
    pckd(kd=0.5)
    """
    term = CategoryContrast((contrast, classifier, near, kd), (temperature, contrast_temperature), growth)
    return Method({"categories": term}, networks={"teacher": teacher_role(teacher)})
