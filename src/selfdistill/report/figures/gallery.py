"""The pictures of every study, in the order of the page."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from selfdistill import plots
from selfdistill.plots.centers import METHODS
from selfdistill.report.figures.figure import FigureUnavailable, Picture
from selfdistill.report.figures.inputs import Evidence

POINTS = 500  # images on a map: more are slow, and hide each other


def losses(evidence: Evidence) -> tuple[Any, ...]:
    """Every term's loss by epoch."""
    if not any(rows for logs in evidence.logs.values() for rows in logs):
        raise FigureUnavailable("the runs have no log")
    return (plots.curves(evidence.logs),)


def reliability(evidence: Evidence) -> tuple[Any, ...]:
    """Whether networks are right as often as they are sure."""
    return ({name: plots.reliability(each.logits, each.labels) for name, each in evidence.shown.items()},)


def confusion(evidence: Evidence) -> tuple[Any, ...]:
    """What each class is taken for."""
    found = {name: plots.confusion(each.logits, each.labels) for name, each in evidence.shown.items()}
    return found, evidence.classes


def ranked(evidence: Evidence) -> tuple[Any, ...]:
    """Outputs from the largest to the smallest."""
    return ({name: plots.ranked_outputs(each.logits) for name, each in evidence.shown.items()},)


def neighbours(evidence: Evidence) -> tuple[Any, ...]:
    """Images as points in a plane, neighbours near one another."""
    return _maps(evidence, plots.tsne)


def directions(evidence: Evidence) -> tuple[Any, ...]:
    """Images as points in the plane along which they differ most."""
    return _maps(evidence, plots.pca)


def _maps(evidence: Evidence, flat: Callable[[Tensor], Any]) -> tuple[Any, ...]:
    step = -(-len(evidence.test) // POINTS)
    rows = {name: each.embedding for name, each in evidence.shown.items()}
    maps = {name: flat(each[::step]) for name, each in rows.items() if each is not None}
    if not maps:
        raise FigureUnavailable("no one module of the models makes the logits")
    return maps, evidence.test.labels[::step], evidence.classes


def attention(evidence: Evidence) -> tuple[Any, ...]:
    """Where each stage looks."""
    images = evidence.few(1, 5)
    pixels = images.images[:]
    side = plots.cell_side(pixels)
    shown = evidence.show(images, ("stages",))
    found = {name: plots.attended(each.features, side) for name, each in shown.items()}
    return pixels, found, [evidence.classes[label] for label in images.labels.tolist()]


def similarity(evidence: Evidence) -> tuple[Any, ...]:
    """How alike images are at each stage."""
    images = evidence.few(5, 10)
    shown = evidence.show(images, ("stages",))
    return {name: plots.similarities(each.features, images.labels) for name, each in shown.items()}, evidence.classes


def centers(evidence: Evidence) -> tuple[Any, ...]:
    """A plane of features under methods that draw those of a class together: a small experiment of its own."""
    _, *pulling = METHODS
    if not any(each.removesuffix(")") in method for each in pulling for method in evidence.runs):
        raise FigureUnavailable(f"the study has none of {', '.join(pulling)}")
    return (plots.moments(),)


PICTURES = [
    Picture(
        "Losses by epoch",
        "Each term and each accuracy, the mean over seeds in the band from the lowest to the highest.",
        losses,
        plots.draw_curves,
    ),
    Picture(
        "Reliability",
        "A network is calibrated where the bars reach the dashed line: it is right as often as it is sure.",
        reliability,
        plots.draw_reliability,
    ),
    Picture(
        "Confusion",
        "Each row is a class and each column what it is taken for: what lies off the diagonal is a mistake.",
        confusion,
        plots.draw_confusion,
    ),
    Picture(
        "Ranked outputs",
        "Probabilities at temperature 4 from the largest to the smallest: how far each spreads over images, and its "
        "mean.",
        ranked,
        plots.draw_ranked,
    ),
    Picture(
        "Embeddings",
        "Test images as the network sees them: near each other if it holds them for alike.",
        neighbours,
        plots.draw_embedding,
    ),
    Picture(
        "Embeddings by their largest directions",
        "The same images in the plane of greatest variance: here distances and widths mean something.",
        directions,
        plots.draw_embedding,
    ),
    Picture(
        "Attention",
        "Where the features of each stage are strongest, laid over an image of each class.",
        attention,
        plots.draw_attention,
    ),
    Picture(
        "Similarity by stage",
        "Images sorted by class: solid squares along the diagonal say that a stage attends to a class’s images alike.",
        similarity,
        plots.draw_similarities,
    ),
    Picture(
        "Centers of classes",
        "Trained for this page: small networks with two features on five classes of digits. Arrows show where each "
        "loss draws an image; crosses are centers, dashed lines the classifier’s directions.",
        centers,
        plots.draw_centers,
    ),
]
