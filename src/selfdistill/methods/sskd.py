"""Knowledge distillation meets self-supervision (https://arxiv.org/abs/2006.07114)."""

import torch.nn.functional as F

from selfdistill.functional import kl_divergence, kl_top_ranked
from selfdistill.heads import found, originals, projection
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import StepContext
from selfdistill.terms.pairs import EMBEDDING, EmbeddingPairs
from selfdistill.terms.transforms import shown, shown_to_teacher, together

MINE, THEIRS = shown("rotation"), shown_to_teacher("rotation")


class SelfSupervised(EmbeddingPairs):
    """The student finds each turned image's original among the batch's with the teacher's certainty."""

    views = (*MINE, EMBEDDING, *THEIRS)
    supports_mixup = False
    uses_labels = True

    def __init__(self, weights: tuple, temperatures: tuple, kept: tuple):
        super().__init__()
        self.weights, self.temperatures, self.kept = weights, temperatures, kept

    def build(self, context):
        """Make a projection for the student's embeddings and one for the teacher's."""
        self.project = projection(context.shapes["embedding"][-1])
        self.project_teacher = projection(context.views["teacher"]["embedding"][-1])

    def loss(self, context: StepContext):
        """The teacher's projection learns; the student imitates upright and turned logits, and similarities."""
        teacher, temperatures = context.views["teacher"], self.temperatures
        mine, theirs = (together([context.views[view.name] for view in side]) for side in (MINE, THEIRS))
        known = found(self.project_teacher, teacher.embedding, theirs.embedding)
        guess, own = found(self.project, context.embedding, mine.embedding), originals(known)
        upright = kl_divergence(context.logits, teacher.logits, temperatures[0])
        turned = kl_top_ranked(mine.logits, theirs.logits, context.batch.labels[own], temperatures[0], self.kept[0])
        similar = kl_top_ranked(guess, known.detach(), own, temperatures[1], self.kept[1])
        mimic = self.weights[0] * upright + (self.weights[1] * turned + self.weights[2] * similar)
        return {"learn": F.cross_entropy(known, own), "mimic": mimic}


@method_constructor
def sskd(
    teacher: str | None = None,
    labels: NotNegative = 0.1,
    upright: NotNegative = 0.9,
    turned: NotNegative = 2.7,
    similar: NotNegative = 10.0,
    temperature: Positive = 4.0,
    similar_temperature: Positive = 0.5,
    keep: Share = 1.0,
    keep_similar: Share = 0.75,
) -> Method:
    """A teacher's logits of upright and turned images, and which original it finds in each turned one."""
    term = SelfSupervised((upright, turned, similar), (temperature, similar_temperature), (keep, keep_similar))
    return Method({"supervision": term}, task_weight=labels, networks={"teacher": teacher_role(teacher)})
