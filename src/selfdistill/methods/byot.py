"""Be Your Own Teacher (https://arxiv.org/abs/1905.08094)."""

from typing import Literal

from torch import nn

from selfdistill.errors import UserError
from selfdistill.functional import kl_divergence, soft_cross_entropy, sum_tensors
from selfdistill.heads import ExitHead, make_hints
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, Positive, method_constructor
from selfdistill.terms import BuildContext, LossTerm, LossValue, StepContext
from selfdistill.terms.pairs import stage_names


class EarlyExits(LossTerm):
    """Exits along the depth learn the labels, the final prediction and the final feature."""

    taps, min_stages, requires, uses_labels = ("stages",), 2, ("embedding",), True

    def __init__(self, weights: tuple[float, float, float], temperature: float, exits: str, form: str):
        super().__init__()
        self.learn, self.mimic, self.hint = weights
        self.temperature, self.tail, self.form = temperature, exits == "tail", form
        self.divergence = soft_cross_entropy if form == "journal" else kl_divergence

    def build(self, context: BuildContext) -> None:
        """Put an exit on every stage but the last, and compare their features with the final ones."""
        (*self.matched, last), width = stage_names(context.shapes), context.shapes["embedding"][-1]
        light = (ExitHead(context.shapes[tap], width, context.classes) for tap in self.matched)
        self.heads = nn.ModuleList(map(context.branch, self.matched) if self.tail else light)
        self.hints = make_hints(self.form, len(self.matched), width, last)

    def loss(self, context: StepContext) -> LossValue:
        """Sum over exits learn · CE + mimic · T² KL(sg z || z_i) + hint · ||f_i - sg f||²."""
        read = [(context.anchor,) if self.tail else (context.features[tap], context.rows.pool) for tap in self.matched]
        exits = [context.as_rows(head(*each)) for head, each in zip(self.heads, read, strict=True)]
        soft = sum_tensors(self.divergence(each.logits, context.logits, self.temperature) for each in exits)
        mimic = self.mimic * soft + self.hint * self.hints(exits, context.anchor)
        return {"learn": self.learn * sum_tensors(context.cross_entropy(each.logits) for each in exits), "mimic": mimic}


@method_constructor
def byot(
    learn: NonNegative = 0.7,
    mimic: NonNegative = 0.3,
    hint: NonNegative = 0.03,
    temperature: Positive = 3.0,
    exits: Literal["light", "tail"] = "light",
    form: Literal["paper", "journal", "maps"] = "paper",
) -> Method:
    """Early exits learn from labels and the final exit (Zhang et al., 2019, arXiv:1905.08094).

    >>> from selfdistill.methods import byot
    >>> print(byot(exits="tail", form="maps").text)
    byot(exits='tail', form='maps')
    """
    if form == "maps" and exits == "light":
        raise UserError("byot(form='maps') compares the last stage's maps, which only exits='tail' has; pass both")
    return Method({"exits": EarlyExits((learn, mimic, hint), temperature, exits, form)})
