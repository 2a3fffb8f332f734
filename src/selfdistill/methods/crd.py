"""Contrastive representation distillation (https://arxiv.org/abs/1910.10699)."""

from selfdistill.data.requirements import Negatives
from selfdistill.functional import nce_loss
from selfdistill.heads import UnitLinear
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Several, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import LossTerm, StepContext, TrainingInfo, banks
from selfdistill.terms.pairs import EMBEDDING


class Contrast(LossTerm):
    """The student's embedding of an image is told from other images by the teacher's of it, and the reverse."""

    views = (EMBEDDING,)
    requires = ("embedding",)
    supports_mixup = False
    uses_index = True
    memory_scope = "run"  # what was last seen of each image by both, and two constants

    def __init__(self, width: int, temperature: float, momentum: float, weight: float):
        super().__init__()
        self.width, self.temperature, self.momentum, self.weight = width, temperature, momentum, weight

    def build(self, context):
        """Project each network's embedding onto rows of length 1."""
        self.project = UnitLinear(context.shapes["embedding"][-1], self.width)
        self.project_teacher = UnitLinear(context.views["teacher"]["embedding"][-1], self.width)

    def start(self, info: TrainingInfo):
        """Give a bank of each network's projections, and constants that are not measured."""
        return banks.started(info, self.width)

    def forward(self, context: StepContext):
        """Contrast both embeddings with the other's bank, and write them into their own."""
        theirs = context.views["teacher"].embedding
        own = {"student": self.project(context.embedding), "teacher": self.project_teacher(theirs)}
        places = banks.places(context.batch)
        scores = [each / self.temperature for each in banks.scores(own, context.memory, places)]
        logs = banks.constants(scores, context.memory)
        share = (places.shape[1] - 1) / len(context.memory["student"])
        value = sum(nce_loss(each - log, share) for each, log in zip(scores, logs.unbind(), strict=True))
        written = banks.followed(context.memory, own, context.batch.index, self.momentum)
        return value, {**written, "logs": logs, "measured": logs.new_ones(())}


@method_constructor
def crd(
    teacher: str | None = None,
    weight: NotNegative = 0.8,
    negatives: Several = 16384,
    width: Several = 128,
    temperature: Positive = 0.07,
    momentum: Share = 0.5,
) -> Method:
    """A frozen teacher's embedding of an image is nearer to the student's than those of other classes."""
    needs, networks = {"negatives": Negatives(negatives)}, {"teacher": teacher_role(teacher)}
    return Method({"contrast": Contrast(width, temperature, momentum, weight)}, needs=needs, networks=networks)
