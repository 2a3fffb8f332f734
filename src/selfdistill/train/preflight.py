"""Checks before a run: memory for its batches, disk for its checkpoints."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from selfdistill.data.requirements import ClassGroups
from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.metrics.cost import held_bytes, peak_bytes
from selfdistill.step import memory
from selfdistill.system import format_bytes, free_disk, free_memory, has_bf16_arithmetic
from selfdistill.terms.tables import is_mapped
from selfdistill.train.config import RunConfig
from selfdistill.train.trainer import Trainer

CHECKPOINTS = 3  # the last, the one before it, and one being written
MIN_IMAGES = 4  # smallest batch to measure: below it, gradients set the peak, which then does not grow with the batch
MARGIN = 1.1  # for memory of libraries, and peaks that grow faster than small batches show


@dataclass(frozen=True)
class Finding:
    """The result of a check; the words of a failed one end with the way out."""

    check: str
    ok: bool
    words: str
    remark: bool = False  # ok, with a remark


def room(make: Callable[[RunConfig], Trainer], config: RunConfig, folder: Path) -> list[Finding]:
    """Check memory and disk by two steps with each of two small batches. `make` builds a trainer."""
    whole = make(config)
    rows = few(whole)
    small = (replace(config, batch_size=each, compile=False, compile_mode="default") for each in (rows, 2 * rows))
    sizes = [MARGIN * peak(make(each)) for each in small]
    each = max(sizes[1] - sizes[0], 1) / rows
    return [_memory(whole, sizes[0] - each * rows, each, rows), _disk(whole, folder)]


def remarks(method: Method, config: RunConfig) -> Iterator[str]:
    """Yield remarks on settings that waste a run: distillation that ramps up too late, and emulated precision."""
    for name, term in method.terms.items():
        if config.steps is None and term.ramp_epochs >= config.epochs and not method.control:
            yield (
                f"the term {name!r} of {method.text} has its full weight only after {term.ramp_epochs:g} epochs, and "
                f"the run has {config.epochs:g}, so it barely distills; pass a shorter ramp, warmup or start, or more "
                "--epochs"
            )
    if config.precision == "bf16" and _on_cpu(config) and not has_bf16_arithmetic():
        yield (
            "this processor has no bfloat16 arithmetic, so --precision bf16 is emulated and about ten times slower; "
            "pass --precision 32"
        )


def _on_cpu(config: RunConfig) -> bool:
    return config.accelerator == "cpu" or (config.accelerator == "auto" and not torch.accelerator.is_available())


def require(findings: list[Finding]) -> None:
    """Raise `UserError` with the first finding that is not ok."""
    for each in findings:
        if not each.ok:
            raise UserError(each.words)


def first_step(trainer: Trainer) -> dict[str, Tensor]:
    """Take the first step of a run and return its losses by name."""
    losses, _ = trainer.train_step.step(next(trainer.batches(0)), trainer.progress(0), trainer.rate(0))
    return losses


def step_bytes(trainer: Trainer, step: Callable[[], object]) -> int:
    """Return the peak memory of a step in bytes: weights, optimizer state, term memories and the step's own tensors."""
    trainer.train_step.optimizer.zero_grad()  # gradients count as the step's own tensors
    return held_bytes(_stored_tensors(trainer)) + trainer.train_step.weights.gathered_bytes + peak_bytes(step)


def peak(trainer: Trainer) -> int:
    """Return the peak memory of a new trainer's second step in bytes: the first one creates the optimizer's state."""
    trainer.train_step.run.train()
    first_step(trainer)
    return step_bytes(trainer, lambda: first_step(trainer))


def _stored_tensors(trainer: Trainer) -> Iterator[Tensor]:
    states = (each for state in trainer.train_step.optimizer.state.values() for each in state.values())
    weights = trainer.train_step.weights.local_shards(
        chain(trainer.distiller.parameters(), trainer.distiller.buffers())
    )
    tensors = chain(weights, states)
    remembered = (each for each in _remembered(trainer) if not is_mapped(each))
    return (each for each in chain(tensors, remembered) if isinstance(each, Tensor))


def _remembered(trainer: Trainer) -> Iterator[Tensor]:
    return chain.from_iterable(memory.leaves(each) for each in trainer.train_step.memory.slots)


def _mapped_bytes(trainer: Trainer) -> int:
    """Return the bytes of tables on the disk, whose rows checkpoints hold too."""
    return held_bytes(each for each in _remembered(trainer) if is_mapped(each))


def few(trainer: Trainer) -> int:
    """Return the smallest batch size to measure: one that the method accepts, for each rank and accumulation step."""
    least = max(MIN_IMAGES, *(term.min_batch_size for term in trainer.distiller.terms.values()))
    order = trainer.distiller.method.needs.get("order")
    group = 1 + order.others if isinstance(order, ClassGroups) else 1
    return -(-least // group) * group * trainer.loader.ranks


def _memory(trainer: Trainer, fixed: float, each: float, least: int) -> Finding:
    """Check the memory of a step: `fixed` bytes and `each` bytes per image; `least` is the smallest batch size."""
    rows, device = trainer.loader.batch_size, trainer.fabric.device
    needed, free = fixed + each * rows, _free(device)
    where = "memory" if device.type == "cpu" else f"{device.type} memory"
    words = f"a batch of {rows} needs about {format_bytes(needed)} of {where}, {format_bytes(free)} are free"
    if needed <= free:
        return Finding("memory", True, words)
    fits = int((free - fixed) / each) // least * least
    out = f"pass --batch-size {fits}" if fits >= least else "take a smaller --model or --size"
    return Finding("memory", False, f"{words}; {out}")


def _free(device: torch.device) -> float:
    module = torch.get_device_module(device)
    if device.type != "cpu" and hasattr(module, "mem_get_info"):
        kept = module.memory_reserved(device) - module.memory_allocated(device)  # cached by torch, and free to reuse
        return int(module.mem_get_info(device)[0]) + int(kept)
    return free_memory()


def _disk(trainer: Trainer, folder: Path) -> Finding:
    weights = trainer.train_step.weights
    trained = weights.local_shards(each for each in trainer.distiller.parameters() if each.requires_grad)
    momenta = 0 if trainer.train_step.optimizer.state else held_bytes(trained)  # counted, or not created yet
    kept = held_bytes(_stored_tensors(trainer)) + _mapped_bytes(trainer) + momenta + _best_bytes(trainer)
    needed, free = weights.num_shards * CHECKPOINTS * kept, free_disk(folder)
    words = f"{CHECKPOINTS} checkpoints need about {format_bytes(needed)}, {format_bytes(free)} are free at {folder}"
    if needed <= free:
        return Finding("disk", True, words)
    return Finding("disk", False, f"{words}; free the disk or choose another --out")


def _best_bytes(trainer: Trainer) -> int:
    """Return the bytes of the best epoch's copy of the student; 0 without validation images."""
    if trainer.splits.validation is None:
        return 0
    student = trainer.distiller.student
    return held_bytes(trainer.train_step.weights.local_shards(chain(student.parameters(), student.buffers())))
