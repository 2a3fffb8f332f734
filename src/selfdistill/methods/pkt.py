"""Probabilistic Knowledge Transfer (https://arxiv.org/abs/1803.10837)."""

from selfdistill.functional import neighbour_shares
from selfdistill.method import Method
from selfdistill.method.constructor import NotNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms.pairs import EmbeddingPairs

EPS = 1e-7  # as published; beside a probability of about 1 / B


class Neighbours(EmbeddingPairs):
    """How likely each image is to have each other one as its neighbour is the teacher's to say."""

    def __init__(self, weight: float):
        super().__init__()
        self.weight = weight

    def compare(self, student, teacher):
        """Mean over pairs of q log(q / p), q the teacher's."""
        p, q = neighbour_shares(student), neighbour_shares(teacher)
        return (q * ((q + EPS) / (p + EPS)).log()).mean()


@method_constructor
def pkt(teacher: str | None = None, weight: NotNegative = 30000.0) -> Method:
    """The labels, and who is whose neighbour among a frozen teacher's embeddings."""
    return Method({"neighbours": Neighbours(weight)}, networks={"teacher": teacher_role(teacher)})
