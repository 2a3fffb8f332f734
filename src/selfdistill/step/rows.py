"""Rows of a loss as examples, each with one class; pixels, tokens and tags are the other kinds."""

from torch import Size, Tensor

from selfdistill.data.batch import Batch
from selfdistill.features import Anatomy
from selfdistill.terms import EXAMPLES, LossTerm, ModelOutputs, Progress, Rows


class Selection:
    """The rows of one step that one term compares: the batch, and conversions of passes and losses."""

    rows: Rows = EXAMPLES
    any_label: Tensor | None = None  # [] False for a batch without labels; None where every row has one

    def __init__(self, batch: Batch):
        self.batch = batch

    def outputs(self, outputs: ModelOutputs) -> ModelOutputs:
        """Convert logits and embedding of a pass to rows; its stages stay whole."""
        return outputs._replace(logits=self.logits(outputs.logits))

    def logits(self, logits: Tensor) -> Tensor:
        """Convert the logits of a whole pass to rows."""
        return logits

    def loss(self, value: Tensor, learns: bool) -> Tensor:
        """Return a loss of these rows, zero if no row has a label; `learns` if it reads the labels."""
        return value if self.any_label is None else value * self.any_label


class ExampleRows:
    """Each example is a row."""

    kind = "examples"

    def __init__(self, anatomy: Anatomy):
        self.anatomy = anatomy

    @property
    def classes(self) -> int:
        """The number of classes that a row's logits tell apart."""
        return self.anatomy.logits[1]

    def count(self, batch: int) -> int:
        """Return the number of rows of logits that a term reads, of a batch of examples."""
        return batch

    def compared(self, batch: int) -> int:
        """Return the number of rows that a term compares with one another, of a batch of examples."""
        return batch

    def shapes(self) -> dict[str, Size]:
        """Return the shapes of logits and embedding as heads get them."""
        found = {"logits": self.anatomy.logits, "embedding": self.anatomy.embedding}
        return {name: self.row_shape(name, shape) for name, shape in found.items() if shape is not None}

    def row_shape(self, name: str, shape: Size) -> Size:
        """Convert the shape of a tap, of logits or of an embedding to that of its rows."""
        return shape

    def require(self, term: LossTerm, name: str, text: str) -> None:
        """Raise `UserError` for a term that these rows do not have enough for."""

    def labeled(self, labels: Tensor) -> Tensor | None:
        """Count the rows with a label, on which the mean of the task loss depends; None where all have one. -> []."""
        return None

    def accuracy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the share of rows whose prediction is right. [B, C], [B] -> []."""
        return (logits.argmax(dim=1) == labels).float().mean()

    def select(self, batch: Batch, term: LossTerm, progress: Progress, task: bool) -> Selection:
        """Select the rows of a step for a term."""
        return Selection(batch)
