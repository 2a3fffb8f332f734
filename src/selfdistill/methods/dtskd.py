"""Dual Teachers for Self-Knowledge Distillation (https://doi.org/10.1016/j.patcog.2024.110422)."""

from selfdistill.functional import channels, kl_through_teacher, kl_to_probabilities, label_and_past, sum_tensors
from selfdistill.heads import VectorPyramid
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, Share, method_constructor
from selfdistill.terms import BuildContext, LossTerm, LossValue, Memory, StepContext, TrainingInfo, tables
from selfdistill.terms.pairs import stage_names


class DualTeachers(LossTerm):
    """Branches learn from the student; it and they learn from their own predictions of the previous epoch."""

    taps, min_stages, requires, min_batch_size = ("stages",), 2, ("embedding",), 2
    supports_mixup, supports_tags, uses_labels = False, False, True  # a table has a row for each image
    supports_weights = False  # labels and past predictions share one target
    uses_progress, uses_index, memory_scope = True, True, "run"  # by head, its latest prediction for each image [N, C]

    def __init__(self, past: float, label: float, temperature: float, epsilon: float, detach: bool):
        super().__init__()
        self.past, self.label, self.temperature, self.epsilon, self.detach = past, label, temperature, epsilon, detach

    def build(self, context: BuildContext) -> None:
        """Make a branch for every stage but the last."""
        self.tapped, width = stage_names(context.shapes)[:-1], context.shapes["embedding"][-1]
        self.branches = VectorPyramid([channels(context.shapes[tap]) for tap in self.tapped], width, context.classes)
        self.weights = {"student": 3.0, **dict.fromkeys(self.tapped, 1.0)}

    def start(self, info: TrainingInfo) -> Memory:
        """Start with tables of zeros."""
        return {name: tables.start_table(info, info.classes) for name in self.weights}

    def forward(self, context: StepContext) -> tuple[LossValue, Memory]:
        """Sum over heads share · KL(q || z), q of label and past; sum over branches T² KL(student || z)."""
        logits, share = context.logits, self.label * context.progress.cosine_decay()
        branches = self.branches([context.features[tap] for tap in self.tapped], context.embedding, context.rows.pool)
        heads = dict(zip(self.weights, [logits, *branches], strict=True))
        memories, index = context.memories, context.index
        pasts = ((name, tables.read_rows(memories[name], index, logits)) for name in heads)
        targets = {name: label_and_past(share, context.batch.labels, past) + self.epsilon for name, past in pasts}
        learn = sum_tensors(self.weights[name] * context.cross_entropy(each) for name, each in heads.items())
        soft = sum_tensors(self.weights[k] * kl_to_probabilities(heads[k], each) for k, each in targets.items())
        deep, options = logits.detach() if self.detach else logits, (self.temperature, self.epsilon)
        near = sum_tensors(kl_through_teacher(each, deep, *options) for each in branches)
        updates = {k: tables.update_rows(memories[k], index, z.detach().softmax(dim=1)) for k, z in heads.items()}
        return {"learn": self.past * learn, "mimic": self.past * (soft - learn) + (1 - self.past) * near}, updates


@method_constructor
def dtskd(
    past: Share = 0.2, label: Share = 0.9, temperature: Positive = 4.0, epsilon: NonNegative = 0.0, detach: bool = False
) -> Method:
    """Branches taught by the student, and all by their own past (Li et al., 2024); `label` is the first label share.

    >>> from selfdistill.methods import dtskd
    >>> print(dtskd(detach=True).text)
    dtskd(detach=True)
    """
    return Method(task=DualTeachers(past, label, temperature, epsilon, detach))
