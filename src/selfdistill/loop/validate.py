"""Checks of a custom training loop: `UserError` for mistakes, warnings for parameters that are not trained."""

import warnings
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from selfdistill.data.batch import Batch
from selfdistill.data.ignored import IGNORED
from selfdistill.data.requirements import KEYS
from selfdistill.errors import UserError
from selfdistill.features.dominators import nodes_behind
from selfdistill.inputs import Inputs, describe, tensors
from selfdistill.method import Method
from selfdistill.step import Distiller
from selfdistill.step.auxiliary import auxiliary_parameters
from selfdistill.step.batch_norm import nonfinite_statistics
from selfdistill.step.build import tap_names
from selfdistill.step.distiller import is_merged
from selfdistill.step.example_weights import require_weightable
from selfdistill.step.precision import at_least_fp32
from selfdistill.step.rows import ExampleRows

Norms = tuple[Tensor, Tensor]  # of the parameters of the student, and of the heads

DESCRIPTIONS = {
    "index": "the position of each row in the data set [B]",
    "peer": "another example of the same class for each row, like the inputs",
    "twin": "a second augmentation of the inputs",
    "strong": "a strong augmentation of the inputs, such as RandAugment",
    "plain": "the inputs without random augmentation",
    "last": "the inputs of the previous batch",
    "last_labels": "the labels of the previous batch [B]",
    "negatives": "positions of K examples of other classes for each row [B, K]",
}


def require_own_loop(method: Method) -> None:
    """Raise `UserError` for a method that replaces the optimizer."""
    if method.momentum_gap is not None:
        raise UserError(
            f"{method.text} replaces the optimizer, so it does not run in a custom loop; use the command instead: "
            f"selfdistill train {method.text!r}"
        )


def require_time(step: Distiller, epochs: int | None, steps_per_epoch: int | None) -> None:
    """Raise `UserError` if a term reads the training progress but the number of epochs or steps is unknown."""
    timed = [name for name, term in step.terms.items() if term.uses_progress]
    if timed and (epochs is None or steps_per_epoch is None):
        raise UserError(
            f"{step.method.text} depends on the training progress (term {timed[0]!r}); "
            "pass sd.teach(…, epochs=…, steps_per_epoch=…)"
        )


def require_size(step: Distiller, dataset_size: int) -> None:
    """Raise `UserError` if a term keeps a memory of each example but the size of the data set is unknown."""
    indexed = [name for name, term in step.terms.items() if term.uses_index]
    if indexed and not dataset_size:
        raise UserError(
            f"{step.method.text} keeps a memory of each training example (term {indexed[0]!r}); "
            "pass sd.teach(…, dataset_size=len(dataset))"
        )


def require_rows(step: Distiller, batch: Batch) -> None:
    """Raise `UserError` for a batch smaller than a term's `min_batch_size`."""
    for name, term in step.terms.items():
        rows = len(batch.labels) if term.taps else step.rows.compared(len(batch.labels))  # stages are of whole examples
        if rows < term.min_batch_size:
            raise UserError(
                f"{step.method.text} compares the rows of a batch (term {name!r}) and needs {term.min_batch_size} at "
                f"least, but this batch has {len(batch.labels)}; use larger batches"
            )


def require_extra(step: Distiller, batch: Batch) -> None:
    """Raise `UserError` for a batch without the additional inputs that the method requires."""
    for name in _required_inputs(step):
        if (batch.index is None) if name == "index" else (name not in batch.extra):
            raise UserError(
                f"{step.method.text} also needs `{name}`: {DESCRIPTIONS.get(name, 'further inputs')}; pass "
                f"teach(inputs, labels, {name}=…), or take batches from sd.loader(dataset, teach, …)"
            )


def require_statistics(step: Distiller) -> None:
    """Raise `UserError` for non-finite running statistics, which no training loss depends on."""
    parts = {"the student": step.student, "the heads": step.terms, "a companion network": step.networks}
    for part, module in parts.items():
        if wrong := nonfinite_statistics(module):
            raise UserError(
                f"a running statistic of {part} is NaN or infinite ({wrong[0]}"
                f"{f' and {len(wrong) - 1} more' if len(wrong) > 1 else ''}), so the network gives NaN in eval mode; "
                f"{step.method.text} has diverged or an input was infinite: load the last finite weights, and "
                "train with a lower learning rate, smaller input values or float32"
            )


def require_optimized(step: Distiller, before: Norms) -> None:
    """Raise `UserError` if the optimizer's step changed the student, but not the heads. A host sync."""
    (student, heads), (student_now, heads_now) = before, parameter_norms(step)
    heads_trained = any(each.requires_grad for each in _heads(step))
    if heads_trained and not torch.equal(student, student_now) and torch.equal(heads, heads_now):
        raise UserError(
            f"the optimizer trains the student but not the heads of {step.method.text}; "
            "create it with teach.parameters(), not model.parameters()"
        )


def parameter_norms(step: Distiller) -> Norms:
    """Return the norms of the student's and of the heads' parameters. -> [parameters], [parameters]."""
    return _norms(step.student.parameters()), _norms(_heads(step))


@torch.no_grad()
def _norms(parameters: Iterable[Tensor]) -> Tensor:
    """Return each parameter's norm: in a total norm, large parameters would hide a step of small ones."""
    norms = [torch.linalg.vector_norm(at_least_fp32(each)) for each in parameters]
    return torch.stack([each.to(norms[0].device) for each in norms]) if norms else torch.zeros(0)


def _heads(step: Distiller) -> list[torch.nn.Parameter]:
    """List the heads' parameters that get a gradient at the first step: a ramp starts with a weight of zero."""
    return [each for term in step.terms.values() if not term.ramp_epochs for each in term.parameters()]


def require_own_task(method: Method, rows: ExampleRows) -> None:
    """Raise `UserError` for a custom task loss of other rows than examples, or with a method that has its own."""
    if rows.kind != "examples":
        raise UserError(f"task= is a loss of examples, but the model classifies {rows.kind}; leave task= out")
    if method.task is not None:
        raise UserError(f"{method.text} has its own task loss; leave task= out, or use another method")
    if method.mixing is not None:
        raise UserError(f"{method.text} mixes labels, which a custom task loss cannot handle; leave task= out")


def require_weights(step: Distiller, weights: Tensor, rows: int) -> None:
    """Raise `UserError` for weights of examples that are no numbers [B], or that a loss of labels does not read."""
    if step.rows.kind != "examples":
        raise UserError(
            f"weights are of examples with one class, but the model classifies {step.rows.kind}; leave weights out"
        )
    if step.own_task is not None:
        raise UserError("a custom task loss reads no weights of examples; weight its rows there, and leave weights out")
    if not weights.is_floating_point() or weights.shape != (rows,):
        raise UserError(f"weights must be {rows} floats, one for each example, but are {describe(weights)}")
    if weights.device.type == "cpu" and not (weights.isfinite() & (weights >= 0)).all():
        raise UserError("weights of examples must be 0 or more and finite, but some are not")
    require_weightable(dict(step.terms.items()), step.method.text)


def require_known(step: Distiller, extra: Mapping[str, Inputs]) -> None:
    """Raise `UserError` for an unknown keyword argument."""
    known = [name for name in _required_inputs(step) if name != "index"]
    if unknown := [name for name in extra if name not in known and name.rstrip("0123456789") not in DESCRIPTIONS]:
        takes = ", ".join(known) or "no other input"
        raise UserError(
            f"teach does not know {unknown[0]!r}; besides inputs, labels and index, {step.method.text} reads {takes}"
        )


def require_finite_losses(losses: Mapping[str, Tensor], logits: Tensor, method: Method) -> None:
    """Raise `UserError` for non-finite losses in this call or one of the last calls. A host sync."""
    wrong = [name for name, loss in losses.items() if not loss.isfinite()]
    which = f"the loss {wrong[0]!r} of {method.text} is {losses[wrong[0]].item()}" if wrong else "a loss was not finite"
    way_out = "lower the learning rate or the weight of the term, or clip the gradient"
    if not logits.isfinite().all():
        way_out = "the student's logits are not finite; mask classes with a large negative number, such as -1e4"
    raise UserError(f"{which}: {way_out}")


def warn_of_eval_mode() -> None:
    """Warn that a student in eval mode is not distilled."""
    warnings.warn(
        "the student is in eval mode, so teach returns its task loss only, without distillation; call model.train() "
        "before training (layers such as BatchNorm may stay in eval mode), and validate under torch.no_grad()",
        stacklevel=4,
    )


def warn_of_idle_parameters(step: Distiller) -> None:
    """Warn of trainable parameters that no loss reaches, apart from those of auxiliary logits."""
    auxiliary = auxiliary_parameters(step.anatomy)
    if idle := [name for name in step.anatomy.params_without_grad if name not in auxiliary]:
        warnings.warn(
            f"{len(idle)} parameters of {step.anatomy.model} get no gradient, such as {idle[0]}: the logits do not "
            "depend on them; freeze them, or pass find_unused_parameters=True to DistributedDataParallel",
            stacklevel=4,
        )


def warn_of_equal_norms(step: Distiller) -> None:
    """Warn of attention maps of tokens that all have one norm: they are flat, and their loss cannot move."""
    for name, term in step.terms.items():
        stages = [step.anatomy.stage(tap) for tap in tap_names(term, step.anatomy)]
        if term.compares_norms and stages and all(stage.equal_norms for stage in stages):
            warnings.warn(
                f"{step.method.text} compares the norms of tokens (term {name!r}), but at all {len(stages)} stages of "
                f"{step.anatomy.model} every token has the same norm, as behind a LayerNorm at its initial weight and "
                "bias: the loss stays near 0; start from trained weights, or use a method of logits or embeddings",
                stacklevel=4,
            )


def require_trainable(step: Distiller) -> None:
    """Raise `UserError` for a student whose parameters are all frozen."""
    if not any(each.requires_grad for each in step.student.parameters()):
        raise UserError(
            f"every parameter of {step.anatomy.model} is frozen (requires_grad is False), so nothing would be trained; "
            "call requires_grad_(True) on the layers to train"
        )


def warn_of_frozen_layers(step: Distiller, losses: Mapping[str, Tensor]) -> None:
    """Warn of terms whose losses reach no trainable parameter of a partly frozen student."""
    if all(each.requires_grad for each in step.student.parameters()):
        return
    beside = {id(each) for part in (step.terms, step.networks) for each in part.parameters()}
    for name, term in step.terms.items():
        own = [loss for key, loss in losses.items() if key.partition(".")[0] == name]
        if not is_merged(term) and not any(id(each) not in beside for loss in own for each in _leaves(loss)):
            warnings.warn(
                f"term {name!r} of {step.method.text} reaches no trainable parameter of {step.anatomy.model}, because "
                "the layers that it reads are frozen; unfreeze layers in front of them, or use another method",
                stacklevel=6,
            )


def _leaves(loss: Tensor) -> Iterator[Tensor]:
    """Yield the tensors with gradient from which a loss was computed."""
    yield from (node.variable for node in nodes_behind(loss.grad_fn) if hasattr(node, "variable"))


def warn_of_equal_twins(batch: Batch, method: Method) -> None:
    """Warn of second or strong augmentations that equal the first. A host sync."""
    for name, each in batch.extra.items():
        if name.startswith(("twin", "strong")) and all(map(torch.equal, tensors(each), tensors(batch.inputs))):
            warnings.warn(
                f"{name} equals the inputs: the data set does not augment, so {method.text} compares each row "
                "with itself; add random transforms to the data set",
                stacklevel=6,
            )


def warn_of_copied_labels(batch: Batch, step: Distiller) -> None:
    """Warn of labels of tokens that are the model's own input ids. A host sync."""
    if step.rows.kind != "tokens":
        return
    known = batch.labels != IGNORED
    ids = [each for each in tensors(batch.inputs) if each.shape == known.shape and not each.is_floating_point()]
    if known.any() and any(torch.equal(each[known], batch.labels[known]) for each in ids):
        warnings.warn(
            f"the labels are the input ids of the same tokens, which {step.anatomy.model} can copy; for a causal "
            "language model pass the next ids (labels = ids.roll(-1, dims=1), the last one ignored), for a masked one "
            "mask the inputs",
            stacklevel=6,
        )


def _required_inputs(step: Distiller) -> Iterator[str]:
    """Yield the names of the inputs that a batch must have besides inputs and labels."""
    if any(term.uses_index for term in step.terms.values()):
        yield "index"
    yield from (view.source for view in step.views if view.source)
    for key in step.method.needs:
        yield from KEYS[key]
