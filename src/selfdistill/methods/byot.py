"""Be Your Own Teacher (https://arxiv.org/abs/1905.08094)."""

from typing import Literal

from torch import nn

from selfdistill.errors import UserError
from selfdistill.functional import kl_divergence, soft_cross_entropy
from selfdistill.heads import AdaptedHints, ExitHead, Hints, MapHints
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, method_constructor
from selfdistill.terms import BuildContext, LossTerm, StepContext
from selfdistill.terms.pairs import stages

# "maps" is the form of Self-KD-Lib, "journal" of the first author's later code: no T², norms for hints
FORMS = {
    "paper": (kl_divergence, Hints),
    "maps": (kl_divergence, MapHints),
    "journal": (soft_cross_entropy, AdaptedHints),
}


class DeepToShallow(LossTerm):
    """Exits along the depth learn the labels, the final prediction and the final feature."""

    taps = ("stages",)
    requires = ("embedding",)
    uses_labels = True

    def __init__(self, learn: float, mimic: float, hint: float, temperature: float, exits: str, form: str):
        super().__init__()
        self.learn, self.mimic, self.hint, self.temperature = learn, mimic, hint, temperature
        self.exits = exits
        self.far, self.kind = FORMS[form]

    def build(self, context: BuildContext):
        """Put an exit on every stage but the last, and compare their features with the final ones."""
        *self.matched, last = stages(context.shapes)
        width = context.shapes["embedding"][-1]
        made = {"light": lambda tap: ExitHead(context.shapes[tap], width, context.classes), "tail": context.tail}[
            self.exits
        ]
        self.heads = nn.ModuleList(made(tap) for tap in self.matched)
        self.hints = self.kind(len(self.matched), width, last)

    def loss(self, context: StepContext):
        """Sum over exits of learn · CE + mimic · T² KL(sg z || z_i) + hint · ||f_i - sg f||²."""
        shallow = [head(context.features[tap]) for tap, head in zip(self.matched, self.heads, strict=True)]
        soft = sum(self.far(each.logits, context.logits, self.temperature) for each in shallow)
        mimic = self.mimic * soft + self.hint * self.hints(shallow, context.anchor)
        return {"learn": self.learn * sum(context.learn(each.logits) for each in shallow), "mimic": mimic}


@method_constructor
def byot(
    learn: NotNegative = 0.7,
    mimic: NotNegative = 0.3,
    hint: NotNegative = 0.03,
    temperature: Positive = 3.0,
    exits: Literal["light", "tail"] = "light",
    form: Literal["paper", "journal", "maps"] = "paper",
) -> Method:
    """Exits on all stages but the last learn from labels and from the final one."""
    if form == "maps" and exits == "light":
        raise UserError("byot(form='maps') compares the last stage's maps, which only exits='tail' has; pass both")
    return Method({"exits": DeepToShallow(learn, mimic, hint, temperature, exits, form)})
