"""Nothing that is drawn hangs over the edge, on a page or on a phone."""

import pytest
import torch

from selfdistill.plots.attention import attention_maps, draw_attention
from selfdistill.plots.centers import Snapshot, draw_centers
from selfdistill.plots.confusion import confusion, draw_confusion
from selfdistill.plots.curves import curves, draw_curves
from selfdistill.plots.embedding import draw_embedding, pca
from selfdistill.plots.ranked import draw_ranked, ranked_outputs
from selfdistill.plots.recall import draw_recalls, recalls
from selfdistill.plots.reliability import draw_reliability, reliability
from selfdistill.plots.similarity import draw_similarities, similarities
from selfdistill.plots.style import DOTS, PAGE, PHONE
from selfdistill.plots.svg import svg
from tests.helpers.figures import draws, images, predictions
from tests.helpers.networks import CLASSES

METHODS = ("ce()", "drg(alpha=0.2) + dsr()", "scd(weight=30.0)")
NAMES = ["cat", "aeroplane", "dog", "automobile", "emu"]


def log(seed):
    losses = {"task": 1.0, "guidance.learn": 0.001, "guidance.mimic": 123.0}
    return [{"epoch": k, "losses": {n: v / k + seed for n, v in losses.items()}, "train_top1": 9.0 * k} for k in (1, 2)]


def of_curves(methods, width):
    return draw_curves(curves({method: [log(0), log(1)] for method in methods}), width=width)


def of_reliability(methods, width):
    return draw_reliability({method: reliability(*predictions()) for method in methods}, width=width)


def of_confusion(methods, width):
    return draw_confusion({method: confusion(*predictions()) for method in methods}, NAMES, width=width)


def of_recall(methods, width):
    return draw_recalls({method: recalls(*predictions()) for method in methods}, NAMES, width=width)


def of_embedding(methods, width):
    logits, labels = predictions()
    return draw_embedding({method: pca(logits) for method in methods}, labels, NAMES, width=width)


def maps():
    return {f"stage{k}": torch.randn(3, 4, 8 // k, 8 // k, generator=draws(k)) for k in (1, 2, 4)}


def of_attention(methods, width):
    found = attention_maps(maps(), 32)
    return draw_attention(images(3).images, dict.fromkeys(methods, found), NAMES[:3], width=width)


def of_similarity(methods, width):
    found = similarities(maps(), torch.arange(3))
    return draw_similarities(dict.fromkeys(methods, found), NAMES, width=width)


def of_ranked(methods, width):
    return draw_ranked({method: ranked_outputs(predictions()[0]) for method in methods}, width=width)


def of_centers(methods, width):
    points, labels = torch.randn(4, 60, 2, generator=draws()).double(), torch.arange(60) % CLASSES
    at = points[1][:CLASSES]
    snapshots = [
        Snapshot("", epoch, points[0], labels, at, at, True, points[2] / 900, points[3] / 900) for epoch in (1, 10)
    ]
    return draw_centers(dict.fromkeys(methods, snapshots), width=width)


@pytest.mark.parametrize("width", [PAGE, PHONE])
@pytest.mark.parametrize("methods", [METHODS[:1], METHODS[:2], METHODS])
@pytest.mark.parametrize(
    "make",
    [
        of_curves,
        of_reliability,
        of_confusion,
        of_recall,
        of_embedding,
        of_attention,
        of_similarity,
        of_ranked,
        of_centers,
    ],
)
def test_all_is_inside(make, methods, width):
    figure = make(methods, width)
    assert svg(figure, "a").startswith("<svg")
    drawn, (right, top) = figure.get_tightbbox(), figure.get_size_inches()
    over = max(-drawn.x0, -drawn.y0, drawn.x1 - right, drawn.y1 - top) * DOTS
    assert over < 2
    assert figure.get_size_inches()[0] * DOTS == width
