"""Figures of every study, in the order of the page."""

from collections.abc import Callable

from torch import Tensor

from selfdistill import plots
from selfdistill.data.images import Images
from selfdistill.data.visible_pixels import visible
from selfdistill.plots.centers import METHODS
from selfdistill.plots.embedding import Projection
from selfdistill.report.figures.figure import FigureUnavailable, Picture
from selfdistill.report.figures.inputs import FigureInputs
from selfdistill.task import CLASSIFY, SEGMENT, TAG

EXAMPLES = 4  # images with their masks
POINTS = 500  # images in a projection: more are slow and overlap


def losses(inputs: FigureInputs) -> tuple[object, ...]:
    """Compute curves of losses and accuracies by epoch."""
    if not any(rows for logs in inputs.logs.values() for rows in logs):
        raise FigureUnavailable("the runs have no log")
    return (plots.curves(inputs.logs),)


def reliability(inputs: FigureInputs) -> tuple[object, ...]:
    """Compute reliability diagrams."""
    return ({name: plots.reliability(each.logits, each.labels) for name, each in inputs.outputs.items()},)


def confusion(inputs: FigureInputs) -> tuple[object, ...]:
    """Compute confusion matrices."""
    found = {name: plots.confusion(each.logits, each.labels) for name, each in inputs.outputs.items()}
    return found, inputs.classes


def recalls(inputs: FigureInputs) -> tuple[object, ...]:
    """Compute the recall of each class."""
    return {name: plots.recalls(each.logits, each.labels) for name, each in inputs.outputs.items()}, inputs.classes


def ranked(inputs: FigureInputs) -> tuple[object, ...]:
    """Compute the mean and standard deviation of sorted outputs."""
    return ({name: plots.ranked_outputs(each.logits) for name, each in inputs.outputs.items()},)


def tsne_projection(inputs: FigureInputs) -> tuple[object, ...]:
    """Project embeddings with t-SNE."""
    return _projections(inputs, plots.tsne)


def pca_projection(inputs: FigureInputs) -> tuple[object, ...]:
    """Project embeddings with PCA."""
    return _projections(inputs, plots.pca)


def _projections(inputs: FigureInputs, project: Callable[[Tensor], Projection]) -> tuple[object, ...]:
    step = -(-len(inputs.test) // POINTS)
    rows = {name: each.embedding for name, each in inputs.outputs.items()}
    maps = {name: project(each[::step]) for name, each in rows.items() if each is not None}
    if not maps:
        raise FigureUnavailable("no classifier layer was found, so there are no embeddings")
    return maps, inputs.test.labels[::step], inputs.classes


def attention(inputs: FigureInputs) -> tuple[object, ...]:
    """Compute attention maps by stage."""
    images = inputs.examples(1, 5)
    if not isinstance(images, Images):
        raise FigureUnavailable("tensors are no pictures to draw attention on")
    pixels = visible(images.images[:])
    side = plots.cell_side(pixels)
    shown = inputs.collect(images, ("stages",))
    found = {name: plots.attention_maps(each.features, side) for name, each in shown.items()}
    return pixels, found, [inputs.classes[label] for label in images.labels.tolist()]


def similarity(inputs: FigureInputs) -> tuple[object, ...]:
    """Compute similarity matrices by stage."""
    images = inputs.examples(5, 10)
    shown = inputs.collect(images, ("stages",))
    return {name: plots.similarities(each.features, images.labels) for name, each in shown.items()}, inputs.classes


def masks(inputs: FigureInputs) -> tuple[object, ...]:
    """Predict the masks of some test images."""
    shown = inputs.masked_examples(EXAMPLES)
    pairs = [shown[row] for row in range(len(shown))]
    found = {name: inputs.predicted_masks(name, shown) for name in inputs.networks}
    return [each.image for each in pairs], {"truth": [each.mask for each in pairs], **found}, inputs.any_splits.classes


def centers(inputs: FigureInputs) -> tuple[object, ...]:
    """Train small networks with two features by the methods that pull classes together."""
    _, *center_methods = METHODS
    if not any(each.removesuffix(")") in method for each in center_methods for method in inputs.runs):
        raise FigureUnavailable(f"the study has none of {', '.join(center_methods)}")
    return (plots.snapshots(),)


PICTURES = [
    Picture(
        "Losses by epoch",
        "Each loss term and accuracy: mean over runs, with a band from minimum to maximum.",
        losses,
        plots.draw_curves,
        (CLASSIFY, SEGMENT, TAG),
    ),
    Picture(
        "Predicted masks",
        "Test images, their true masks and the masks that networks predict; a color is a class, cream has no label.",
        masks,
        plots.draw_masks,
        (SEGMENT,),
    ),
    Picture(
        "Reliability",
        "Accuracy by confidence: a network is calibrated where the bars reach the dashed line.",
        reliability,
        plots.draw_reliability,
    ),
    Picture(
        "Confusion",
        "Rows are true classes and columns are predicted classes; entries off the diagonal are errors.",
        confusion,
        plots.draw_confusion,
    ),
    Picture(
        "Recall by class",
        "Share of each class's test images that are recognized, with their number: a class of few images may hide in "
        "the accuracy of all.",
        recalls,
        plots.draw_recalls,
    ),
    Picture(
        "Ranked outputs",
        "Probabilities at temperature 4, sorted from largest to smallest: standard deviation over images, and mean.",
        ranked,
        plots.draw_ranked,
    ),
    Picture(
        "Embeddings",
        "Test images by t-SNE of their embeddings: neighborhoods are meaningful, distances between groups are not.",
        tsne_projection,
        plots.draw_embedding,
    ),
    Picture(
        "Embeddings by PCA",
        "The same embeddings in the plane of greatest variance: distances are meaningful here.",
        pca_projection,
        plots.draw_embedding,
    ),
    Picture(
        "Attention",
        "Attention maps of each stage (sum of squared features over channels), overlaid on an image of each class.",
        attention,
        plots.draw_attention,
    ),
    Picture(
        "Similarity by stage",
        "Cosine similarity of attention maps, sorted by class: squares on the diagonal show similarity within a class.",
        similarity,
        plots.draw_similarities,
    ),
    Picture(
        "Class centers",
        "Small networks with two features, trained on five classes of digits for this page. Arrows are negative "
        "gradients of the loss; crosses are class centers, dashed lines the directions of the classifier.",
        centers,
        plots.draw_centers,
    ),
]
