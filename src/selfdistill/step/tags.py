"""Tags as rows, for multi-label classification: an example with C tags is C rows of two classes.

The softmax of (0, z) is the sigmoid of z, so the cross-entropy of a row is the binary cross-entropy of a tag, and a
divergence is that of two Bernoulli distributions.
"""

import torch
from torch import Tensor

from selfdistill.data.batch import Batch, Mix
from selfdistill.data.ignored import IGNORED
from selfdistill.errors import UserError
from selfdistill.step.pixels import labeled_indices
from selfdistill.step.rows import ExampleRows, Selection
from selfdistill.terms import EXAMPLES, LossTerm, Progress


class TagRows(ExampleRows):
    """Each tag of each example is a row; labels are [B, C] of 0, 1, or -100 where unknown."""

    kind = "tags"

    @property
    def classes(self) -> int:
        """A tag is present or absent."""
        return 2

    def count(self, batch: int) -> int:
        """Return the number of tags in a batch."""
        return batch * self.anatomy.logits[1]

    def require(self, term: LossTerm, name: str, text: str) -> None:
        """Raise `UserError` for a term that needs one class per example."""
        if term.supports_tags and not {"classifier", "classifier_weight"} & {*term.requires}:
            return
        raise UserError(
            f"{text} needs one class per example (term {name!r}), but here an example has several tags; use a method "
            "that reads predictions or embeddings alone, such as kd(), drg() or rkd()"
        )

    def labeled(self, labels: Tensor) -> Tensor | None:
        """Count the rows with a label. -> []."""
        return (labels != IGNORED).sum()

    def accuracy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the share of known tags that are predicted right. [B, C], [B, C] -> []."""
        known = labels != IGNORED
        return (((logits > 0) == labels) & known).sum() / known.sum().clamp_min(1)

    def select(self, batch: Batch, term: LossTerm, progress: Progress, task: bool) -> Selection:
        """Select all tags, or those that are known where a term does not leave out unknown ones by itself."""
        reads_all = term.needs_labels or (task and not term.ignores_unlabeled)
        return KnownTags(batch) if reads_all and batch.mix is None else Tags(batch)


class Tags(Selection):
    """All tags of a batch."""

    def __init__(self, batch: Batch):
        labels = batch.labels.flatten().long()
        self.any_label = (labels != IGNORED).any()
        super().__init__(batch._replace(labels=torch.where(self.any_label, labels, 0), mix=_mix_of_tags(batch, labels)))
        self.rows = EXAMPLES._replace(logits=self.logits)

    def logits(self, logits: Tensor) -> Tensor:
        """Pair each logit with that of absence. [B, C] -> [B · C, 2]."""
        return tag_logits(logits)

    def loss(self, value: Tensor, learns: bool) -> Tensor:
        """Return zero for a batch without a known tag, if the loss reads them."""
        return super().loss(value, learns) if learns else value


class KnownTags(Tags):
    """The tags of a batch whose label is known."""

    def __init__(self, batch: Batch):
        super().__init__(batch)
        self.indices = labeled_indices(self.batch.labels)
        self.batch = self.batch._replace(labels=self.batch.labels[self.indices])

    def logits(self, logits: Tensor) -> Tensor:
        """Pair the logits of known tags with those of absence. [B, C] -> [R, 2]."""
        return super().logits(logits)[self.indices]


def tag_logits(logits: Tensor) -> Tensor:
    """Pair each logit with a zero, the logit of absence. [B, C] -> [B · C, 2]."""
    return torch.stack([torch.zeros_like(logits), logits], dim=2).flatten(0, 1)


def _mix_of_tags(batch: Batch, labels: Tensor) -> Mix | None:
    """Mix each tag as its example is mixed; shares of unknown tags go to the known ones. labels: [B · C]."""
    if batch.mix is None:
        return None
    tags = batch.labels.shape[1]
    own = torch.arange(tags, device=batch.labels.device)[None, :, None]
    partners = (batch.mix.partners[:, None] * tags + own).flatten(0, 1)
    shares = batch.mix.shares.repeat_interleave(tags, dim=0) * (labels[partners] != IGNORED)
    return Mix(shares * (len(shares) / shares.sum().clamp_min(1e-6)), partners, batch.mix.region)
