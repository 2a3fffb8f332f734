"""Cosines between predictions of two networks: of classes over the batch, of correlations, of rows."""

from torch import Tensor

from selfdistill.functional.normalize import EPS, l2_normalize


def cosine_gap(one: Tensor, other: Tensor) -> Tensor:
    """Compute 1 minus the mean cosine of equal rows. [N, D], [N, D] -> [].

    >>> from selfdistill.functional import cosine_gap
    >>> cosine_gap(torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    tensor(0.5000)
    """
    return 1 - (l2_normalize(one) * l2_normalize(other)).sum(dim=1).mean()


def class_cosine_kd(student: Tensor, teacher: Tensor, temperature: Tensor) -> Tensor:
    """Compute 2 mean(T)² times the `cosine_gap` of the classes' columns of predictions. [B, C], [B, C], [B] -> [].

    The temperature is each row's. arXiv:2311.14307. No gradient reaches the teacher.

    >>> from selfdistill.functional import class_cosine_kd
    >>> bool(class_cosine_kd(torch.eye(2), 3 * torch.eye(2), torch.ones(2)) > 0)
    True
    """
    p, q = _predictions(student, teacher, temperature)
    return 2 * temperature.mean().square() * cosine_gap(p.T, q.T)


def correlation_gaps(student: Tensor, teacher: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the `cosine_gap` of the matrices of classes and of rows. [B, C], [B, C], [B] -> [], [].

    These are pᵀp [C, C] and ppᵀ [B, B] of the predictions p. arXiv:2311.14307. No gradient reaches the teacher.

    >>> from selfdistill.functional import correlation_gaps
    >>> bool(max(correlation_gaps(torch.eye(2), torch.eye(2), torch.ones(2))) < 1e-5)
    True
    """
    p, q = _predictions(student, teacher, temperature)
    return cosine_gap(p.T @ p, q.T @ q), cosine_gap(p @ p.T, q @ q.T)


def row_temperatures(student: Tensor, teacher: Tensor, low: float, high: float) -> Tensor:
    """Return `low` for the row on which two networks agree most, `high` for the least. [B, C], [B, C] -> [B].

    Agreement is the cosine of predictions; it has no gradient. All rows get `low` where it is equal.
    arXiv:2311.14307.

    >>> from selfdistill.functional import row_temperatures
    >>> row_temperatures(torch.tensor([[5.0, 0.0], [0.0, 5.0]]), torch.tensor([[5.0, 0.0], [5.0, 0.0]]), 2.0, 6.0)
    tensor([2., 6.])
    """
    alike = (l2_normalize(student.detach().softmax(dim=1)) * l2_normalize(teacher.detach().softmax(dim=1))).sum(dim=1)
    below = alike.amax() - alike
    return low + (high - low) * below / below.amax().clamp_min(EPS)


def _predictions(student: Tensor, teacher: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    column = temperature[:, None]
    return (student / column).softmax(dim=1), (teacher / column).softmax(dim=1).detach()
