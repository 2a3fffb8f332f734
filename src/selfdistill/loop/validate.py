"""Checks of a custom training loop; each raises `UserError` if the loop lacks what the method needs."""

from collections.abc import Iterator

from selfdistill.data.batch import Batch
from selfdistill.data.requirements import KEYS
from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.step import Distiller
from selfdistill.step.batch_norm import nonfinite_statistics

Versions = tuple[int, int]  # how often the student's and the heads' parameters have been written to

WORDS = {
    "index": "each row's place in the data set [B]",
    "peer": "for each row another image of its class [B, 3, H, W]",
    "twin": "the same images augmented once more [B, 3, H, W]",
    "last": "the images of the batch before [B, 3, H, W]",
    "last_labels": "the labels of the batch before [B]",
    "negatives": "for each row places of images of other classes [B, K]",
}


def require_own_loop(method: Method) -> None:
    """The method leaves the optimizer alone."""
    if method.momentum_gap is not None:
        raise UserError(
            f"{method.text} changes the optimizer, and yours is your own; train with the command instead: "
            f"selfdistill train {method.text!r}"
        )


def require_time(step: Distiller, epochs: int | None, steps_per_epoch: int | None) -> None:
    """Terms that read the clock are told how long training is."""
    timed = [name for name, term in step.terms.items() if term.uses_progress]
    if timed and (epochs is None or steps_per_epoch is None):
        raise UserError(
            f"{step.method.text} changes as training goes (term {timed[0]!r}); "
            "pass sd.teach(…, epochs=…, steps_per_epoch=…)"
        )


def require_size(step: Distiller, dataset_size: int) -> None:
    """Terms that remember each image are told how many there are."""
    indexed = [name for name, term in step.terms.items() if term.uses_index]
    if indexed and not dataset_size:
        raise UserError(
            f"{step.method.text} remembers something of each training image (term {indexed[0]!r}); "
            "pass sd.teach(…, dataset_size=len(dataset))"
        )


def require_rows(step: Distiller, batch: Batch) -> None:
    """A batch has as many rows as each term compares."""
    for name, term in step.terms.items():
        if len(batch.labels) < term.min_batch_size:
            raise UserError(
                f"{step.method.text} compares the rows of a batch (term {name!r}) and needs {term.min_batch_size} at "
                f"least, but this batch has {len(batch.labels)}; take larger batches"
            )


def require_extra(step: Distiller, batch: Batch) -> None:
    """A batch brings what the method asks of the data."""
    for name in _asked(step):
        if (batch.index is None) if name == "index" else (name not in batch.extra):
            raise UserError(
                f"{step.method.text} also needs `{name}`: {WORDS.get(name, 'images [B, 3, H, W]')}; pass "
                f"teach(images, labels, {name}=…), or take batches from sd.loader(dataset, teach, …)"
            )


def require_statistics(step: Distiller) -> None:
    """Running statistics, which no loss of training shows, are finite."""
    parts = {"the student": step.student, "the heads": step.terms, "the networks beside it": step.networks}
    for part, module in parts.items():
        if wrong := nonfinite_statistics(module):
            raise UserError(
                f"a running statistic of {part} is NaN or infinite ({wrong[0]}"
                f"{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''}), so the network gives NaN in eval mode; "
                f"{step.method.text} has diverged or an image was infinite: load the last weights that were sound, and "
                "train with a lower learning rate, smaller image values or float32"
            )


def require_optimised(step: Distiller, before: Versions) -> None:
    """The optimizer that moved the student moved the heads too."""
    (student, heads), (student_now, heads_now) = before, versions(step)
    if student_now > student and heads_now == heads and any(True for _ in step.terms.parameters()):
        raise UserError(
            f"the optimizer trains the student but not the heads of {step.method.text}; "
            "make it over teach.parameters(), not model.parameters()"
        )


def versions(step: Distiller) -> Versions:
    """Return how often the parameters have been written to, in all."""
    heads = sum(each._version for each in step.terms.parameters())
    return sum(each._version for each in step.student.parameters()), heads


def _asked(step: Distiller) -> Iterator[str]:
    """Names of what a batch must bring beside images and labels."""
    if any(term.uses_index for term in step.terms.values()):
        yield "index"
    yield from (view.source for view in step.views if view.source)
    for key in step.method.needs:
        yield from KEYS[key]
