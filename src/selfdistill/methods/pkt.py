"""Probabilistic Knowledge Transfer (https://arxiv.org/abs/1803.10837)."""

from selfdistill.maths import unit
from selfdistill.method import Method
from selfdistill.pairs import EMBEDDING
from selfdistill.recipe import NotNegative, recipe
from selfdistill.roles import teaching
from selfdistill.terms import Seen, Term

EPS = 1e-7  # as published; beside a probability of about 1 / B


class Neighbours(Term):
    """How likely each image is to have each other one as its neighbour is the teacher's to say."""

    views = (EMBEDDING,)
    reads = ("embedding",)
    rows = 2
    over = "batch"

    def __init__(self, weight: float):
        super().__init__()
        self.weight = weight

    def loss(self, seen: Seen):
        """Mean over pairs of q log(q / p), q the teacher's."""
        p, q = likely(seen.embedding), likely(seen.views["teacher"].embedding)
        return (q * ((q + EPS) / (p + EPS)).log()).mean()


def likely(rows):
    """The share of each row's similarity that goes to each row, itself included. [B, D] -> [B, B]."""
    directions = unit(rows)
    close = (directions @ directions.T + 1) / 2
    return close / close.sum(dim=1, keepdim=True)


@recipe
def pkt(teacher: str | None = None, weight: NotNegative = 30000.0) -> Method:
    """The labels, and who is whose neighbour among a frozen teacher's embeddings."""
    return Method({"neighbours": Neighbours(weight)}, networks={"teacher": teaching(teacher)})
