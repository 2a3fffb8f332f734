"""Tokens as rows, for token labelling and language models: a sequence is read as a map of pixels, one column wide."""

from torch import Size, Tensor

from selfdistill.data.batch import Batch
from selfdistill.data.ignored import IGNORED
from selfdistill.errors import UserError
from selfdistill.features import Anatomy
from selfdistill.functional import as_map, channels
from selfdistill.step.pixels import PAIRED_PIXELS, PIXELS, AllPixels, PixelRows, SampledPixels
from selfdistill.step.rows import Selection
from selfdistill.terms import LossTerm, Progress

NUMBERS = 2**26  # of the logits that a distillation reads, at most: fewer tokens of a large vocabulary


class AllTokens(AllPixels):
    """All tokens of a batch; those without a label have the label -100."""

    def logits(self, logits: Tensor) -> Tensor:
        """[B, N, C] -> [B · N, C]."""
        return super().logits(_as_map(logits, self.size))


class SampledTokens(SampledPixels):
    """Tokens at indices of the flattened labels."""

    def logits(self, logits: Tensor) -> Tensor:
        """Read the logits of the tokens. [B, N, C] -> [R, C]."""
        return super().logits(_as_map(logits, self.size))

    def values(self, features: Tensor, source: Tensor | None = None) -> Tensor:
        """Read tokens, or the map of a signal of any length, at the tokens. [B, N, D] or [B, D, n, 1] -> [R, D]."""
        return super().values(as_map(features))


class TokenRows(PixelRows):
    """Each token with a label is a row; labels are [B, N], logits [B, N, C]."""

    kind = "tokens"
    every, sampled = AllTokens, SampledTokens

    def __init__(self, anatomy: Anatomy):
        super().__init__(anatomy)
        self.most = max(PAIRED_PIXELS, min(PIXELS, NUMBERS // self.classes))

    @property
    def classes(self) -> int:
        """The number of classes C."""
        return channels(self.anatomy.logits)

    def accuracy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the share of labeled tokens whose prediction is right. [B, N, C], [B, N] -> []."""
        known = labels != IGNORED
        return ((logits.argmax(dim=2) == labels) & known).sum() / known.sum().clamp_min(1)

    def has_rows(self, shape: Size) -> bool:
        """Return True for a vector for each token, or the map of a signal, which can be resized to them."""
        return shape[1] == self.anatomy.logits[1] if len(shape) == 3 else len(shape) == 4 and shape[3] == 1

    def select(self, batch: Batch, term: LossTerm, progress: Progress, task: bool) -> Selection:
        """Select all tokens for a task that leaves out those without a label, labelled ones for another term."""
        return super().select(batch._replace(labels=batch.labels[..., None]), term, progress, task)


def _as_map(logits: Tensor, size: Size) -> Tensor:
    """View logits as a map [B, C, N, 1]. Raises `UserError` for another number of tokens than labels."""
    if logits.shape[1] != size[0]:
        raise UserError(
            f"the logits are those of {logits.shape[1]} tokens, {[*logits.shape]}, but the labels of {size[0]}; pad "
            "labels as the inputs are, with ignore_index for tokens without a label"
        )
    return as_map(logits)
