"""Checks of a custom training loop: `UserError` for what cannot work, a warning for what trains less than it seems."""

import warnings
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from selfdistill.data.batch import Batch
from selfdistill.data.requirements import KEYS
from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.step import Distiller
from selfdistill.step.batch_norm import nonfinite_statistics

Norms = tuple[Tensor, Tensor]  # of all parameters of the student, and of the heads

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


def require_optimized(step: Distiller, before: Norms) -> None:
    """Raise `UserError` if the optimizer's step moved the student, but not the heads. Waits for the device."""
    (student, heads), (student_now, heads_now) = before, parameter_norms(step)
    heads_trained = any(each.requires_grad for each in step.terms.parameters())
    if heads_trained and not torch.equal(student, student_now) and torch.equal(heads, heads_now):
        raise UserError(
            f"the optimizer trains the student but not the heads of {step.method.text}; "
            "make it over teach.parameters(), not model.parameters()"
        )


@torch.no_grad()
def parameter_norms(step: Distiller) -> Norms:
    """Return the norms of the student's and the heads' parameters. -> [], []."""
    student, heads = (torch.nn.utils.get_total_norm(part.parameters()) for part in (step.student, step.terms))
    return student, heads


def require_own_task(method: Method) -> None:
    """Raise `UserError` for a task loss of the caller's own beside a method that has its own, or mixes labels."""
    if method.task is not None:
        raise UserError(f"{method.text} has a task loss of its own; leave task= out, or take another method")
    if method.mixing is not None:
        raise UserError(f"{method.text} mixes labels, and a task loss of your own does not know how; leave task= out")


def require_known(step: Distiller, extra: Mapping[str, Tensor]) -> None:
    """Raise `UserError` for a keyword that no method reads."""
    known = [name for name in _asked(step) if name != "index"]
    if unknown := [name for name in extra if name not in known and name.rstrip("0123456789") not in WORDS]:
        takes = ", ".join(known) or "nothing more"
        raise UserError(
            f"teach does not know {unknown[0]!r}; beside images, labels and index {step.method.text} reads {takes}"
        )


def require_finite_losses(losses: Mapping[str, Tensor], logits: Tensor, method: Method) -> None:
    """Raise `UserError` for losses, now or in one of the last calls, that are infinite or NaN. Waits for the device."""
    wrong = [name for name, loss in losses.items() if not loss.isfinite()]
    which = f"the loss {wrong[0]!r} of {method.text} is {losses[wrong[0]].item()}" if wrong else "a loss was not finite"
    way_out = "lower the learning rate or the weight of the term, or clip the gradient"
    if not logits.isfinite().all():
        way_out = "the student's logits are not finite; mask classes by a large negative number, such as -1e4"
    raise UserError(f"{which}: {way_out}")


def warn_of_eval_mode() -> None:
    """Warn that a student in eval mode is not distilled."""
    warnings.warn(
        "the student is in eval mode, so teach gives its task loss alone, without distillation; call model.train() "
        "before training (layers such as BatchNorm may stay in eval mode), and validate under torch.no_grad()",
        stacklevel=4,
    )


def warn_of_idle_parameters(step: Distiller) -> None:
    """Warn of trainable parameters that no loss reaches, such as those of auxiliary classifiers."""
    if idle := step.anatomy.params_without_grad:
        warnings.warn(
            f"{len(idle)} parameters of {step.anatomy.model} get no gradient, such as {idle[0]}: only the main logits "
            "are taught; freeze them, or pass find_unused_parameters=True to DistributedDataParallel",
            stacklevel=4,
        )


def warn_of_equal_twins(batch: Batch, method: Method) -> None:
    """Warn of second augmentations that equal the first. Waits for the device."""
    for name, each in batch.extra.items():
        if name.startswith("twin") and torch.equal(each, batch.images):
            warnings.warn(
                f"{name} equals the images: the data set draws no augmentation, so {method.text} compares each image "
                "with itself; add random transforms to the data set",
                stacklevel=6,
            )


def _asked(step: Distiller) -> Iterator[str]:
    """Names of what a batch must bring beside images and labels."""
    if any(term.uses_index for term in step.terms.values()):
        yield "index"
    yield from (view.source for view in step.views if view.source)
    for key in step.method.needs:
        yield from KEYS[key]
