"""Contrastive representation distillation (https://arxiv.org/abs/1910.10699)."""

from selfdistill.data.requirements import Negatives
from selfdistill.functional import contrast
from selfdistill.heads import UnitLinear
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Several, Share, recipe
from selfdistill.method.networks import teaching
from selfdistill.terms import Facts, Seen, Term, banks
from selfdistill.terms.pairs import EMBEDDING


class Contrast(Term):
    """The student's embedding of an image is told from other images by the teacher's of it, and the reverse."""

    views = (EMBEDDING,)
    reads = ("embedding",)
    mixed = False
    indexed = True
    memory_scope = "run"  # what was last seen of each image by both, and two constants

    def __init__(self, width: int, temperature: float, momentum: float, weight: float):
        super().__init__()
        self.width, self.temperature, self.momentum, self.weight = width, temperature, momentum, weight

    def build(self, parts):
        """Project each network's embedding onto rows of length 1."""
        self.project = UnitLinear(parts.shapes["embedding"][-1], self.width)
        self.project_teacher = UnitLinear(parts.views["teacher"]["embedding"][-1], self.width)

    def start(self, facts: Facts):
        """Give a bank of each network's projections, and constants that are not measured."""
        return banks.started(facts, self.width)

    def forward(self, seen: Seen):
        """Contrast both embeddings with the other's bank, and write them into their own."""
        theirs = seen.views["teacher"].embedding
        own = {"student": self.project(seen.embedding), "teacher": self.project_teacher(theirs)}
        places = banks.places(seen.batch)
        scores = [each / self.temperature for each in banks.scores(own, seen.memory, places)]
        logs = banks.constants(scores, seen.memory)
        share = (places.shape[1] - 1) / len(seen.memory["student"])
        value = sum(contrast(each - log, share) for each, log in zip(scores, logs.unbind(), strict=True))
        written = banks.followed(seen.memory, own, seen.batch.index, self.momentum)
        return value, {**written, "logs": logs, "measured": logs.new_ones(())}


@recipe
def crd(
    teacher: str | None = None,
    weight: NotNegative = 0.8,
    negatives: Several = 16384,
    width: Several = 128,
    temperature: Positive = 0.07,
    momentum: Share = 0.5,
) -> Method:
    """A frozen teacher's embedding of an image is nearer to the student's than those of other classes."""
    needs, networks = {"negatives": Negatives(negatives)}, {"teacher": teaching(teacher)}
    return Method({"contrast": Contrast(width, temperature, momentum, weight)}, needs=needs, networks=networks)
