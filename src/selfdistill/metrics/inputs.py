"""Checks of logits, labels and embeddings before a metric is computed."""

from torch import Tensor

from selfdistill.errors import UserError


def checked_logits(logits: Tensor) -> Tensor:
    """Return logits as float64; minus infinity is a class that is masked. [N, C] -> [N, C].

    Raises `UserError` for no rows, and for rows without a softmax: NaN, plus infinity, or all classes masked.

    >>> import torch
    >>> checked_logits(torch.zeros(1, 2)).dtype
    torch.float64
    """
    if logits.dim() != 2 or not logits.numel():
        raise UserError(f"metrics read logits [images, classes], but got {list(logits.shape)}; pass at least one image")
    logits = logits.detach().double()
    _require(logits.amax(dim=1).isfinite(), "logits")  # the maximum of a row with a NaN is NaN
    return logits


def checked_pair(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits as float64 and labels as int64. [N, C], [N] -> the same.

    Raises `UserError` for the reasons of `checked_logits`, and for labels that are no class numbers from 0 to C - 1.

    >>> import torch
    >>> checked_pair(torch.zeros(1, 2), torch.tensor([1], dtype=torch.uint8))[1]
    tensor([1])
    """
    logits, classes = checked_logits(logits), logits.shape[1]
    if labels.shape != logits.shape[:1] or labels.is_floating_point():
        kind = f"{labels.dtype} {list(labels.shape)}".removeprefix("torch.")
        raise UserError(f"metrics read one class number for each of {len(logits)} images, but the labels are {kind}")
    labels = labels.long()
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        wrong = labels[(labels < 0) | (labels >= classes)]
        raise UserError(
            f"{len(wrong)} of {len(labels)} labels are no class from 0 to {classes - 1}, such as {int(wrong[0])}; "
            "leave those images out"
        )
    return logits, labels


def checked_embeddings(embeddings: Tensor) -> Tensor:
    """Return embeddings as float64. [N, D] -> [N, D]. Raises `UserError` for no rows, NaN and infinity.

    >>> import torch
    >>> checked_embeddings(torch.zeros(1, 2)).dtype
    torch.float64
    """
    if embeddings.dim() != 2 or not embeddings.numel():
        raise UserError(f"metrics read embeddings [images, width], but got {list(embeddings.shape)}; pass an image")
    embeddings = embeddings.detach().double()
    _require(embeddings.isfinite().all(dim=1), "embeddings")
    return embeddings


def checked_scores(scores: Tensor) -> Tensor:
    """Return scores as float64; they may be infinite. [N] -> [N]. Raises `UserError` for no rows and for NaN.

    >>> import torch
    >>> checked_scores(torch.tensor([1, 2]))
    tensor([1., 2.], dtype=torch.float64)
    """
    if scores.dim() != 1 or not len(scores):
        raise UserError(f"metrics read one score for each image, but got {list(scores.shape)}; pass at least one image")
    _require(~scores.isnan(), "scores")
    return scores.double()


def _require(sound: Tensor, what: str) -> None:
    """Raise `UserError` where a row is not sound. [N] of booleans."""
    if sound.all():
        return
    rows = (~sound).nonzero().flatten().tolist()
    raise UserError(
        f"the {what} of {len(rows)} of {len(sound)} images are NaN or infinite (the first: image {rows[0]}); the "
        "network has diverged or its weights are damaged: train it with a lower learning rate, or load other weights"
    )
