"""Similarity Transfer for Knowledge Distillation (https://arxiv.org/abs/2103.10047)."""

from typing import Literal

from selfdistill.data.mixing import Mixing, mixed
from selfdistill.functional import kl, kl_to, softened
from selfdistill.method import Method
from selfdistill.method.constructor import Positive, Several, Share, recipe
from selfdistill.method.networks import teaching
from selfdistill.terms import Seen, Term, View


class VirtualSample(Term):
    """A frozen teacher says what it sees in an image mixed from several."""

    views = (View("teacher", grad=False, network="teacher"),)

    def __init__(self, temperature: float, weight: float):
        super().__init__()
        self.temperature, self.weight = temperature, weight

    def loss(self, seen: Seen):
        """T² KL(teacher(x~) || z)."""
        return kl(seen.logits, seen.views["teacher"].logits, self.temperature)


class MixedPrediction(VirtualSample):
    """The teacher's predictions for the clean images, mixed as the images are."""

    views = (View("teacher_clean", grad=False, network="teacher", source="clean"),)

    def loss(self, seen: Seen):
        """T² KL(sum of shares times teacher(x) || z)."""
        clean = softened(seen.views["teacher_clean"].logits, self.temperature)
        mix = seen.batch.mix
        target = clean if mix is None else mixed(clean, mix)
        return kl_to(seen.logits, target, self.temperature)


@recipe
def stkd(
    teacher: str | None = None,
    weight: Share = 0.9,
    temperature: Positive = 4.0,
    alpha: Positive = 1.0,
    per: Literal["batch", "row"] = "batch",
    images: Several = 2,
    target: Literal["mixed image", "mixed predictions"] = "mixed image",
) -> Method:
    """(1 - weight) of mixup training, weight of the teacher's word on the mixed images."""
    clean = target == "mixed predictions"
    term = (MixedPrediction if clean else VirtualSample)(temperature, weight)
    return Method(
        terms={"virtual": term},
        task_weight=1.0 - weight,
        mixing=Mixing(alpha, per, images, clean),
        networks={"teacher": teaching(teacher)},
    )
