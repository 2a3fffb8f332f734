"""Be Your Own Teacher (https://arxiv.org/abs/1905.08094)."""

from typing import Literal

import torch.nn.functional as F
from torch import nn

from selfdistill.errors import UserError
from selfdistill.heads import Exit
from selfdistill.maths import FAINT, kl, softened
from selfdistill.method import Method
from selfdistill.recipe import NotNegative, Positive, recipe
from selfdistill.terms import Outputs, Parts, Seen, Term


class DeepToShallow(Term):
    """Exits along the depth learn the labels, the final prediction and the final feature."""

    taps = ("stages",)
    reads = ("embedding",)
    learns = True

    def __init__(self, learn: float, mimic: float, hint: float, temperature: float, exits: str):
        super().__init__()
        self.learn, self.mimic, self.hint = learn, mimic, hint
        self.temperature, self.exits = temperature, exits

    def build(self, parts: Parts):
        """Put an exit on every stage but the last."""
        *self.matched, self.last = [name for name in parts.shapes if name.startswith("stage")]
        width = parts.shapes["embedding"][-1]
        made = {
            "light": lambda tap: Exit(parts.shapes[tap], width, parts.classes),
            "tail": parts.tail,
        }[self.exits]
        self.heads = nn.ModuleList(made(tap) for tap in self.matched)

    def loss(self, seen: Seen):
        """Sum over exits of learn · CE + mimic · T² KL(sg z || z_i) + hint · ||f_i - sg f||²."""
        shallow = [head(seen.features[tap]) for tap, head in zip(self.matched, self.heads, strict=True)]
        learn = sum(seen.learn(each.logits) for each in shallow)
        final = Outputs(seen.logits, seen.embedding, seen.features)
        return {"learn": self.learn * learn, "mimic": self.imitation(shallow, final)}

    def imitation(self, shallow, final):
        """What the exits, shallow to deep, owe to the final outputs. -> []."""
        soft = sum(kl(each.logits, final.logits, self.temperature) for each in shallow)
        want = self.feature(final).detach()
        hints = sum((self.feature(each) - want).square().mean() for each in shallow)
        return self.mimic * soft + self.hint * hints

    def feature(self, shown: Outputs):
        """What a hint compares: the embedding [B, D]."""
        return shown.embedding


class OnMaps(DeepToShallow):
    """The form of Self-KD-Lib: hints compare the last maps before they are pooled."""

    def feature(self, shown: Outputs):
        """Give the last stage's map [B, D, H, W] or tokens."""
        return shown.features[self.last]


class Journal(DeepToShallow):
    """The form of the first author's later code: no T², a norm for a hint, none for the deepest exit."""

    def build(self, parts: Parts):
        """Put the exits, and linear layers between the features."""
        super().build(parts)
        width = parts.shapes["embedding"][-1]
        self.adapt = nn.ModuleList(nn.Linear(width, width) for _ in self.matched[:-1])

    def imitation(self, shallow, final):
        """Soft cross-entropy at T, and the norm of the batch's adapted differences. -> []."""
        target = softened(final.logits.detach(), self.temperature)
        soft = sum(F.cross_entropy(each.logits / self.temperature, target) for each in shallow)
        gaps = [
            layer(each.embedding) - final.embedding.detach()
            for layer, each in zip(self.adapt, shallow[:-1], strict=True)
        ]
        norms = sum((gap.square().sum() + FAINT**2).sqrt() for gap in gaps)
        return self.mimic * soft + self.hint * norms


@recipe
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
    kind = {"paper": DeepToShallow, "journal": Journal, "maps": OnMaps}[form]
    return Method({"exits": kind(learn, mimic, hint, temperature, exits)})
