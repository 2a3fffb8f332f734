"""AICSD: Adaptive Inter-Class Similarity Distillation for Semantic Segmentation (https://arxiv.org/abs/2308.04243)."""

from selfdistill.functional import as_matching_maps, inter_class_gap, kl_divergence, resize
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import CrossEntropy, LossTerm, LossValue, StepContext
from selfdistill.terms.class_maps import TEACHER, ClassMaps


class InterClassSimilarity(ClassMaps):
    """Divergences between the classes' distributions over positions match the teacher's."""

    views = (TEACHER,)

    def __init__(self, temperature: float, rising: bool, weight: float):
        super().__init__()
        self.temperature, self.uses_progress, self.weight = temperature, rising, weight

    def loss(self, context: StepContext) -> LossValue:
        """Compute the mean squared difference of the C x C matrices of each example, times e / E if it rises."""
        own, teacher = as_matching_maps(self.own_maps(context), self.teacher_maps(context))
        known = self.known(context, own.shape[2:])
        maps = own.flatten(2), resize(teacher, own.shape[2:]).flatten(2)
        gap = inter_class_gap(*maps, known, self.temperature)
        return gap * context.progress.completed if self.uses_progress else gap


class FallingImitation(LossTerm):
    """The teacher's predictions of each pixel, with a factor that falls with the epochs."""

    views = (TEACHER,)
    uses_progress = True

    def loss(self, context: StepContext) -> LossValue:
        """Compute (1 - e / E) · KL(p_T || p)."""
        return (1 - context.progress.completed) * kl_divergence(context.logits, context.views["teacher"].logits)


@method_constructor
def icsd(
    teacher: str | None = None, weight: NonNegative = 10.0, temperature: Positive = 1.0, adaptive: bool = False
) -> Method:
    """A teacher's similarities between classes (Mansourian et al., 2023); `adaptive` turns from it to the labels.

    >>> from selfdistill.methods import icsd
    >>> print(list(icsd(adaptive=True).terms))
    ['classes', 'pixels']
    """
    classes, networks = InterClassSimilarity(temperature, adaptive, weight), {"teacher": teacher_role(teacher)}
    if not adaptive:
        return Method({"classes": classes}, networks=networks)
    terms = {"classes": classes, "pixels": FallingImitation()}
    return Method(terms, task=CrossEntropy(rising=True), networks=networks)
