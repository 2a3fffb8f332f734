"""What a step would do, before the first batch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Size, Tensor, nn

from selfdistill.features import Anatomy
from selfdistill.method import Method
from selfdistill.method.networks import EMATeacher, LaggedStudent, PeerNetwork, Role
from selfdistill.step import Distiller, memory
from selfdistill.step.memory import leaves
from selfdistill.terms import ForwardPass


@dataclass(frozen=True)
class Plan:
    """A method's demands on a model, in words: pairs of a heading and a line."""

    lines: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        width = max(len(heading) for heading, _ in self.lines)
        return "\n".join(f"{heading:<{width}}  {line}" for heading, line in self.lines)


def plan(
    method: Method,
    student: nn.Module,
    images: Tensor,
    networks: Mapping[str, nn.Module],
    classifier: str | None = None,
) -> Plan:
    """Read off what each step will do. images [B, 3, H, W] as training will bring them."""
    distiller = Distiller(student, method, images, networks=networks, classifier=classifier)
    try:
        lines = [
            *_passes(distiller),
            *_taps(distiller),
            *_added(distiller, student),
            *_memories(distiller, len(images)),
            *_needs(distiller, method),
            ("losses", " + ".join(f"{weight:g} · {name}" for name, weight in method.weights.items())),
        ]
    finally:
        distiller.close()
    return Plan(tuple(lines))


def anatomy_lines(found: Anatomy) -> list[tuple[str, str]]:
    """What was found in a model, as headings and lines."""
    stages = [(each.name, f"{each.path} {_shape(each.shape)} {each.layout.value}") for each in found.stages]
    embedding = _shape(found.embedding) if found.embedding else "none"
    lines = [
        *stages,
        ("embedding", embedding),
        ("classifier", found.classifier or "none found; pass --classifier"),
    ]
    if without := found.params_without_grad:
        lines.append(
            (
                "idle",
                f"{len(without)} parameters without gradient in training: {', '.join(without[:3])}",
            )
        )
    return lines


def _passes(distiller: Distiller) -> Iterator[tuple[str, str]]:
    views = [f"{view.name} ({_manner(view)})" for view in distiller.views]
    backward = 1 + sum(view.grad for view in distiller.views)
    yield "passes", f"{' · '.join(['anchor (grad)', *views])}: {1 + len(views)} forward, {backward} backward"
    roles = [f"{name}: {_cast(role)}" for name, role in distiller.method.networks.items()]
    if roles:
        yield "beside", " · ".join(roles)


def _manner(view: ForwardPass) -> str:
    return f"{'grad' if view.grad else 'no grad'}{', one batch with the anchor' if view.joint else ''}"


def _cast(role: Role) -> str:
    """A role in words."""
    match role:
        case EMATeacher(decay=decay):
            return f"the student's weights averaged, decay {decay:g}"
        case LaggedStudent(every=every, of=of):
            return f"the {of} as it was up to {every} steps ago"
        case PeerNetwork(name=name):
            return f"a peer that trains too ({name or 'the same architecture'})"
    return f"frozen ({role.name or 'the same architecture, trained first'})"


def _taps(distiller: Distiller) -> Iterator[tuple[str, str]]:
    found, used = distiller.anatomy, distiller.taps.names
    for name in used:
        if name == "embedding":
            yield "taps", f"embedding = input of {found.classifier} {_shape(found.embedding or Size())}"
        else:
            yield "taps", f"{name} = {found.stage(name).path} {_shape(found.stage(name).shape)}"
    dropped = sorted(set(found.stages_named()) - set(found.stages_named(maps=True)))
    if dropped and any(term.needs_spatial for term in distiller.terms.values()):
        yield "dropped", f"{', '.join(dropped)}: smaller than 2x2, so that all images attend alike there"


def _added(distiller: Distiller, student: nn.Module) -> Iterator[tuple[str, str]]:
    parts = [*distiller.terms.items(), *distiller.networks.items()]
    counts = {name: sum(each.numel() for each in part.parameters() if each.requires_grad) for name, part in parts}
    heads = [f"{name}: {count:,} parameters" for name, count in counts.items() if count]
    own = sum(each.numel() for each in student.parameters())
    yield "adds", f"{', '.join(heads) or 'nothing'}, training only; deployed: 0 beside the student's {own:,}"


def _memories(distiller: Distiller, rows: int) -> Iterator[tuple[str, str]]:
    started = memory.start(distiller.terms, distiller.training_info(rows, images=rows))
    for name, term in distiller.terms.items():
        shapes = [str(list(leaf.shape)) for leaf in leaves(started[name]) if leaf.dim()]
        if shapes:
            scope = "one for the run" if term.memory_scope == "run" else "each rank its own"
            again = ", new each epoch" if term.reset_memory == "epoch" else ""
            yield "remembers", f"{name}: {', '.join(shapes)}, {scope}{again}"


def _needs(distiller: Distiller, method: Method) -> Iterator[tuple[str, str]]:
    needs = [_ASKED[key] for key in method.needs]
    needs += ["each row's place in the data set"] if any(term.uses_index for term in distiller.terms.values()) else []
    if method.mixing:
        needs.append(f"batches mixed of {method.mixing.images} images each")
    rows = max(term.min_batch_size for term in distiller.terms.values())
    needs += [f"{rows} images a batch at least"] if rows > 1 else []
    yield "needs", " · ".join(needs) or "nothing but images and labels"


_ASKED = {
    "peer": "another image of each row's class",
    "twin": "each image augmented twice",
    "last": "the batch before",
    "negatives": "places of images of other classes",
    "order": "batches in groups of a class",
}


def _shape(shape: Size) -> str:
    return f"[{', '.join(['B', *map(str, shape[1:])])}]"
