"""Knowledge distillation meets self-supervision (https://arxiv.org/abs/2006.07114)."""

from selfdistill.functional import kl_divergence, kl_top_ranked
from selfdistill.heads import matching_loss, original_index, original_similarity, projection
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, LossValue, StepContext, pairs, transforms


class SelfSupervision(pairs.EmbeddingPairs):
    """Student logits and contrastive similarities of rotated images match the teacher's."""

    views = (*transforms.ROTATIONS, pairs.EMBEDDING, *transforms.TEACHER_ROTATIONS)
    supports_mixup = supports_tags = False
    uses_labels = True

    def __init__(self, weights: tuple[float, ...], temperatures: tuple[float, float], kept: tuple[float, float]):
        super().__init__()
        self.weights, self.temperatures, self.kept = weights, temperatures, kept

    def build(self, context: BuildContext) -> None:
        """Make a projection for the student's embeddings and one for the teacher's."""
        self.project = projection(context.shapes["embedding"][-1])
        self.project_teacher = projection(context.views["teacher"]["embedding"][-1])

    def loss(self, context: StepContext) -> LossValue:
        """Train the teacher's projection; imitate upright and rotated logits, and similarities."""
        teacher, (hot, cold), (keep, keep_similar) = context.views["teacher"], self.temperatures, self.kept
        mine = transforms.concatenate(context.views, transforms.ROTATIONS)
        theirs = transforms.concatenate(context.views, transforms.TEACHER_ROTATIONS)
        known = original_similarity(self.project_teacher, teacher.embedding, theirs.embedding)
        guess, own = original_similarity(self.project, context.embedding, mine.embedding), original_index(known)
        upright = self.weights[0] * kl_divergence(context.logits, teacher.logits, hot)
        turned = kl_top_ranked(mine.logits, theirs.logits, context.batch.labels[own], hot, keep)
        similar = kl_top_ranked(guess, known.detach(), own, cold, keep_similar)
        rotated = self.weights[1] * turned + self.weights[2] * similar
        return {"learn": matching_loss(known), "mimic": upright + rotated}


@method_constructor
def sskd(
    teacher: str | None = None,
    labels: NonNegative = 0.1,
    upright: NonNegative = 0.9,
    turned: NonNegative = 2.7,
    similar: NonNegative = 10.0,
    temperature: Positive = 4.0,
    similar_temperature: Positive = 0.5,
    keep: Share = 1.0,
    keep_similar: Share = 0.75,
) -> Method:
    """A teacher's logits of upright and rotated images, and its contrastive similarities (Xu et al., 2020).

    >>> from selfdistill.methods import sskd
    >>> print(sskd(keep=0.5).text)
    sskd(keep=0.5)
    """
    term = SelfSupervision((upright, turned, similar), (temperature, similar_temperature), (keep, keep_similar))
    return Method({"supervision": term}, task_weight=labels, networks={"teacher": teacher_role(teacher)})
