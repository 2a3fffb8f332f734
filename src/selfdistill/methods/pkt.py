"""Probabilistic Knowledge Transfer (https://arxiv.org/abs/1803.10837)."""

from torch import Tensor

from selfdistill.functional import neighbor_probabilities
from selfdistill.method import Method
from selfdistill.method.constructor import NonNegative, method_constructor
from selfdistill.method.networks import teacher_role
from selfdistill.terms.pairs import EmbeddingPairs

EPS = 1e-7  # as published; beside a probability of about 1 / B


class NeighborTransfer(EmbeddingPairs):
    """KL between the neighbor probabilities of teacher and student embeddings in a batch."""

    def __init__(self, weight: float):
        super().__init__()
        self.weight = weight

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the mean over pairs of q log(q / p), q the teacher's."""
        p, q = neighbor_probabilities(student), neighbor_probabilities(teacher)
        return (q * ((q + EPS) / (p + EPS)).log()).mean()


@method_constructor
def pkt(teacher: str | None = None, weight: NonNegative = 30000.0) -> Method:
    """Neighbor probabilities of a frozen teacher's embeddings (Passalis and Tefas, 2018, arXiv:1803.10837).

    >>> from selfdistill.methods import pkt
    >>> print(pkt(weight=1000.0).text)
    pkt(weight=1000.0)
    """
    return Method({"neighbours": NeighborTransfer(weight)}, networks={"teacher": teacher_role(teacher)})
