"""Describe a training step (passes, taps, heads, memory) without running it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from torch import Size, nn

from selfdistill.features import Anatomy
from selfdistill.inputs import Inputs, num_rows
from selfdistill.method import Method
from selfdistill.method.networks import EMATeacher, LaggedStudent, PeerNetwork, Role
from selfdistill.step import Distiller, memory
from selfdistill.step.memory import leaves
from selfdistill.step.row_kinds import RowKind
from selfdistill.system import format_bytes
from selfdistill.table_format import FULL, TableFormat
from selfdistill.terms import ForwardPass

TOLD = 2**20  # bytes from which the size of a memory is told


@dataclass(frozen=True)
class Plan:
    """Description of a method on a model, as pairs of a heading and a line."""

    lines: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        width = max(len(heading) for heading, _ in self.lines)
        return "\n".join(f"{heading:<{width}}  {line}" for heading, line in self.lines)


def plan(
    method: Method,
    student: nn.Module,
    inputs: Inputs,
    networks: Mapping[str, nn.Module],
    classifier: str | None = None,
    rows: RowKind | None = None,
    aux: float | None = None,
    images: int | None = None,
    tables: TableFormat = FULL,
) -> Plan:
    """Describe a training step of a method on inputs, normalized as in training; `rows` as in `sd.teach`.

    `images` is the number of training images, on which the memory of terms depends, and `tables` the format of their
    tables; they are not made.
    """
    distiller = Distiller(student, method, inputs, networks=networks, classifier=classifier, rows=rows, aux=aux)
    try:
        lines = [
            *_passes(distiller),
            *_taps(distiller),
            *_added(distiller, student),
            *_memories(distiller, num_rows(inputs), images, tables),
            *_needs(distiller, method),
            *_ramps(distiller),
            ("losses", " + ".join(f"{weight:g} · {name}" for name, weight in method.weights.items())),
        ]
    finally:
        distiller.close()
    return Plan(tuple(lines))


def anatomy_lines(found: Anatomy) -> list[tuple[str, str]]:
    """Describe the stages, embedding and classifier of a model, as headings and lines."""
    stages = [(each.name, f"{each.path} {_shape(each.shape)} {each.layout.value}") for each in found.stages]
    embedding = _shape(found.embedding) if found.embedding else "none"
    lines = [*stages, ("embedding", embedding), ("classifier", found.classifier or "not found; pass --classifier")]
    if names := found.params_without_grad:
        lines.append(("no grad", f"{len(names)} parameters without gradient in training: {', '.join(names[:3])}"))
    return lines


def _passes(distiller: Distiller) -> Iterator[tuple[str, str]]:
    views = [f"{view.name} ({_pass_mode(view)})" for view in distiller.views]
    backward = 1 + sum(view.grad for view in distiller.views)
    yield "passes", f"{' · '.join(['anchor (grad)', *views])}: {1 + len(views)} forward, {backward} backward"
    roles = [f"{name}: {_role(role)}" for name, role in distiller.method.networks.items()]
    if roles:
        yield "networks", " · ".join(roles)


def _pass_mode(view: ForwardPass) -> str:
    return f"{'grad' if view.grad else 'no grad'}{', one batch with the anchor' if view.joint else ''}"


def _role(role: Role) -> str:
    """Describe the role of a network."""
    match role:
        case EMATeacher(decay=decay):
            return f"EMA of the student's weights, decay {decay:g}"
        case LaggedStudent(every=every, of=of):
            return f"copy of the {of}, updated every {every} steps"
        case PeerNetwork(name=name):
            return f"peer, trained jointly ({name or 'same architecture'})"
    return f"frozen ({role.name or 'same architecture, trained first'})"


def _taps(distiller: Distiller) -> Iterator[tuple[str, str]]:
    found, used = distiller.anatomy, distiller.taps.names
    for name in used:
        if name == "embedding":
            yield "taps", f"embedding = input of {found.classifier} {_shape(found.embedding or Size())}"
        else:
            yield "taps", f"{name} = {found.stage(name).path} {_shape(found.stage(name).shape)}"
    dropped = sorted(set(found.stage_names()) - set(found.stage_names(spatial=True)))
    if dropped and any(term.needs_spatial for term in distiller.terms.values()):
        yield "dropped", f"{', '.join(dropped)}: smaller than 2x2, so attention maps would be constant"


def _added(distiller: Distiller, student: nn.Module) -> Iterator[tuple[str, str]]:
    parts = [*distiller.terms.items(), *distiller.networks.items()]
    counts = {name: sum(each.numel() for each in part.parameters() if each.requires_grad) for name, part in parts}
    heads = [f"{name}: {count:,} parameters" for name, count in counts.items() if count]
    own = sum(each.numel() for each in student.parameters())
    yield "heads", f"{', '.join(heads) or 'nothing'}, for training only; the exported student has {own:,}"


def _memories(distiller: Distiller, rows: int, images: int | None, tables: TableFormat) -> Iterator[tuple[str, str]]:
    """Describe the memory of each term for a number of training images, from those of two small numbers."""
    few, more = (memory.start(distiller.terms, distiller.training_info(rows, rows * k, tables)) for k in (1, 2))
    for name, term in distiller.terms.items():
        pairs = list(zip(leaves(few[name]), leaves(more[name]), strict=True))
        shapes = [_for_images(one.shape, two.shape, images or rows) for one, two in pairs]
        size = sum(prod(shape) * one.element_size() for shape, (one, _) in zip(shapes, pairs, strict=True))
        if any(shapes):
            told = [", ".join(str(each) for each in shapes if each)]
            told += [format_bytes(size)] if size >= TOLD else []
            told += ["on the disk"] if tables.mapped and any(one.shape != two.shape for one, two in pairs) else []
            told.append("shared by all ranks" if term.memory_scope == "run" else "one per rank")
            told += ["reset each epoch"] if term.reset_memory == "epoch" else []
            yield "memory", f"{name}: {', '.join(told)}"


def _for_images(one: Size, two: Size, images: int) -> list[int]:
    """Shape for a number of images, from those for B and 2 · B: the dimension that grows is that of images."""
    return [images if small != large else small for small, large in zip(one, two, strict=True)]


def _needs(distiller: Distiller, method: Method) -> Iterator[tuple[str, str]]:
    needs = [_DESCRIPTIONS[key] for key in method.needs]
    needs += ["sample indices"] if any(term.uses_index for term in distiller.terms.values()) else []
    if method.mixing:
        needs.append(f"mixing of {method.mixing.images} images per example")
    rows = max(term.min_batch_size for term in distiller.terms.values())
    needs += [f"batch size of at least {rows}"] if rows > 1 else []
    yield "needs", " · ".join(needs) or "images and labels only"


def _ramps(distiller: Distiller) -> Iterator[tuple[str, str]]:
    for name, term in distiller.terms.items():
        if term.ramp_epochs:
            yield "ramp", f"{name}: full weight after {term.ramp_epochs:g} epochs"


_DESCRIPTIONS = {
    "peer": "another image of the same class",
    "twin": "two augmentations per image",
    "strong": "a strong view of each image",
    "plain": "each image without random augmentation",
    "last": "the previous batch",
    "negatives": "indices of images of other classes",
    "order": "batches grouped by class",
}


def _shape(shape: Size) -> str:
    return f"[{', '.join(['B', *map(str, shape[1:])])}]"
