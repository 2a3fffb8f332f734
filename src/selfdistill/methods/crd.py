"""Contrastive representation distillation (https://arxiv.org/abs/1910.10699)."""

from selfdistill.data.requirements import Negatives
from selfdistill.heads import UnitLinear
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Plural, Positive, Share, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms import BuildContext, LossTerm, LossValue, Memory, StepContext, TrainingInfo, banks
from selfdistill.terms.pairs import EMBEDDING


class ContrastiveTransfer(LossTerm):
    """NCE of each image's student embedding against the teacher's bank of embeddings, and the reverse."""

    views = (EMBEDDING,)
    requires = ("embedding",)
    supports_mixup = False
    uses_index = True
    memory_scope = "run"  # both networks' latest projection of each image, and two normalizers

    def __init__(self, width: int, temperature: float, momentum: float, weight: float):
        super().__init__()
        self.width, self.temperature, self.momentum, self.weight = width, temperature, momentum, weight

    def build(self, context: BuildContext) -> None:
        """Project each network's embedding onto rows of L2 norm 1."""
        self.project = UnitLinear(context.shapes["embedding"][-1], self.width)
        self.project_teacher = UnitLinear(context.views["teacher"]["embedding"][-1], self.width)

    def start(self, info: TrainingInfo) -> Memory:
        """Make a bank of each network's projections."""
        return banks.initial_banks(info, self.width)

    def forward(self, context: StepContext) -> tuple[LossValue, Memory]:
        """Contrast both embeddings with the other network's bank, and update their own."""
        teacher, memory = context.views["teacher"].embedding, context.memory_mapping
        own = {"student": self.project(context.embedding), "teacher": self.project_teacher(teacher)}
        index = banks.bank_index(context.index, context.batch)
        loss, logs = banks.contrastive_loss(own, memory, index, self.temperature)
        updates = banks.bank_updates(memory, own, context.index, self.momentum)
        return loss, {**updates, "logs": logs, "measured": logs.new_ones(())}


@method_constructor
def crd(
    teacher: str | None = None,
    weight: NonNegative = 0.8,
    negatives: Plural = 16384,
    width: Plural = 128,
    temperature: Positive = 0.07,
    momentum: Share = 0.5,
) -> Method:
    """Contrast of student and teacher embeddings against `negatives` other images (Tian et al., 2020).

    >>> from selfdistill.methods import crd
    >>> print(crd(negatives=1024).text)
    crd(negatives=1024)
    """
    term, needs = ContrastiveTransfer(width, temperature, momentum, weight), {"negatives": Negatives(negatives)}
    return Method({"contrast": term}, needs=needs, networks={"teacher": teacher_role(teacher)})
