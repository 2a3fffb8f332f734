"""Knowledge distillation meets self-supervision (https://arxiv.org/abs/2006.07114)."""

import torch
import torch.nn.functional as F
from torch import nn

from selfdistill.maths import FAINT, kl, softened
from selfdistill.method import Method
from selfdistill.methods.sla import TRANSFORMS
from selfdistill.recipe import NotNegative, Positive, Share, recipe
from selfdistill.roles import teaching
from selfdistill.terms import Seen, Term, View

TURNS = TRANSFORMS["rotation"]
TURNED = tuple(make.__name__ for make in TURNS)


class SelfSupervised(Term):
    """The student finds each turned image's original among the batch's with the teacher's certainty."""

    views = (
        *(View(make.__name__, grad=True, make=make, joint=True) for make in TURNS),
        View("teacher", grad=False, network="teacher", taps=("embedding",)),
        *(View(f"teacher_{make.__name__}", False, "teacher", make=make, taps=("embedding",)) for make in TURNS),
    )
    reads = ("embedding",)
    mixed = False
    learns = True
    rows = 2
    over = "batch"

    def __init__(self, weights: tuple, temperatures: tuple, kept: tuple):
        super().__init__()
        self.weights, self.temperatures, self.kept = weights, temperatures, kept

    def build(self, parts):
        """Make a projection for the student's embeddings and one for the teacher's."""
        self.project = projection(parts.shapes["embedding"][-1])
        self.project_teacher = projection(parts.views["teacher"]["embedding"][-1])

    def loss(self, seen: Seen):
        """The teacher's projection learns; the student imitates upright and turned logits, and similarities."""
        teacher, turned = seen.views["teacher"], [seen.views[f"teacher_{name}"] for name in TURNED]
        known = found(self.project_teacher, teacher, turned)
        own = torch.arange(len(known), device=known.device) % len(seen.logits)
        upright, looked_through = self.weights[0], self.weights[1:]
        mimic = upright * kl(seen.logits, teacher.logits, self.temperatures[0])
        values = self.turned(seen, turned), self.similar(seen, known.detach(), own)
        mimic = mimic + sum(weight * value for weight, value in zip(looked_through, values, strict=True))
        return {"learn": F.cross_entropy(known, own), "mimic": mimic}

    def turned(self, seen: Seen, turned):
        """Imitate what the teacher says of turned images, where it is not too wrong. -> []."""
        student = torch.cat([seen.views[name].logits for name in TURNED])
        teacher = torch.cat([each.logits for each in turned])
        keep = trusted(teacher, seen.batch.labels.repeat(len(TURNED)), self.kept[0])
        return kl_where(keep, student, teacher, self.temperatures[0])

    def similar(self, seen: Seen, known, own):
        """Imitate which originals the teacher finds similar, where it is not too wrong. -> []."""
        upright = seen.views[TURNED[0]]._replace(embedding=seen.embedding)
        student = found(self.project, upright, [seen.views[name] for name in TURNED])
        return kl_where(trusted(known, own, self.kept[1]), student, known, self.temperatures[1])


def projection(width: int) -> nn.Module:
    """Two layers of the embedding's width."""
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


def found(project, upright, turned):
    """Cosines of turned rows' projections with all upright ones'. B rows, M of B rows -> [M · B, B]."""
    projected = project(torch.cat([upright.embedding, *(each.embedding for each in turned)]))
    unit = F.normalize(projected, dim=1, eps=FAINT)
    rows = len(upright.embedding)
    return unit[rows:] @ unit[:rows].T


def trusted(teacher, labels, share):
    """Whether a row is right, or among this share of the wrong ones that rank the truth best. [N, C], [N] -> [N]."""
    rank = (teacher > teacher.gather(1, labels[:, None])).sum(dim=1)
    right = (rank == 0).sum()
    place = rank.argsort(stable=True).argsort()
    return place < right + ((len(rank) - right) * share).floor()


def kl_where(keep, student, teacher, temperature):
    """T² KL(teacher || student), the mean over the rows that are kept. [N], [N, C], [N, C] -> []."""
    log_p = F.log_softmax(student / temperature, dim=1)
    rows = F.kl_div(log_p, softened(teacher, temperature).detach(), reduction="none").sum(dim=1)
    return temperature**2 * (rows * keep).sum() / keep.sum().clamp_min(1)


@recipe
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
    weights, temperatures = (upright, turned, similar), (temperature, similar_temperature)
    term = SelfSupervised(weights, temperatures, (keep, keep_similar))
    return Method({"supervision": term}, task_weight=labels, networks={"teacher": teaching(teacher)})
