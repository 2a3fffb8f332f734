"""Class-center-based self-knowledge distillation (https://www.mdpi.com/2076-3417/14/16/7022)."""

from typing import Literal

from selfdistill.distributed import summed
from selfdistill.functional import class_sums, kl_to, moved, softened
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, Positive, Share, recipe
from selfdistill.terms import Facts, Seen, Term


class ClassCenter(Term):
    """What the classifier says of a class's center, fused with the sample's own prediction, is its target."""

    reads = ("embedding", "classifier")
    mixed = False
    memory_scope = "run"  # centers [C, D], and how many rows each has met [C, 1]

    def __init__(self, rate: float, trust: float, fusion: str, detach: bool, temperature: float, warmup: float):
        super().__init__()
        self.rate, self.trust, self.fusion, self.detach = rate, trust, fusion, detach
        self.temperature, self.warmup, self.timed = temperature, warmup, warmup > 0

    def start(self, facts: Facts):
        """Centers of zeros that have met nothing."""
        return facts.like.new_zeros(facts.classes, facts.width or 0), facts.like.new_zeros(facts.classes, 1)

    def forward(self, seen: Seen):
        """Update the centers, then predict with them."""
        sums = summed(class_sums(seen.embedding.detach(), seen.batch.labels, seen.logits.shape[1]))  # of all ranks
        centers, met = moved(seen.memory, sums, self.rate)
        target = self.target(seen.classifier(centers)[seen.batch.labels], seen.logits, seen.batch.labels)
        value = kl_to(seen.logits, target, self.temperature)
        return seen.clock.ramp(self.warmup) * value, (centers, met)

    def target(self, center, own, labels):
        """Fuse a center's logits with a sample's own. [B, C], [B, C], [B] -> [B, C] probabilities."""
        own = own.detach() if self.detach else own
        if self.fusion == "logit":
            return softened(self.trust * center + (1 - self.trust) * own, self.temperature)
        trust = self.trust
        if self.fusion == "confidence":
            trust = 1 - own.softmax(dim=1).gather(1, labels[:, None])  # [B, 1]
        return trust * softened(center, self.temperature) + (1 - trust) * softened(own, self.temperature)


@recipe
def csd(
    weight: NotNegative = 1.0,
    trust: Share = 0.5,
    rate: Share = 0.5,
    temperature: Positive = 4.0,
    fusion: Literal["logit", "prob", "confidence"] = "logit",
    detach: bool = True,
    warmup: NotNegative = 0.0,
) -> Method:
    """Each sample's soft target is its class center's prediction, fused with its own."""
    term = ClassCenter(rate, trust, fusion, detach, temperature, warmup)
    term.weight = weight
    return Method({"center": term})
