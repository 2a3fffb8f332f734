"""Figures of finished runs: functions that compute the numbers, functions that draw them, and SVG output.

    found = collect(model, splits.test, augment)                        # logits, labels, embedding
    figure = draw_reliability({"ce()": reliability(found.logits, found.labels)}, width=PHONE)
    page += svg(figure, "reliability", "Accuracy by confidence")

Each `draw_…` function takes a mapping from the label of a panel, row or line (mostly a method) to its numbers, and
`width` in pixels (`PAGE` or `PHONE`), for which it lays out its panels.
"""

from matplotlib.figure import Figure

from selfdistill.plots.attention import attention_maps, cell_side, draw_attention
from selfdistill.plots.centers import Snapshot, draw_centers, snapshots
from selfdistill.plots.collect import CollectedOutputs, collect, first_per_class
from selfdistill.plots.confusion import confusion, draw_confusion, mistakes
from selfdistill.plots.critical_difference import draw_critical_difference
from selfdistill.plots.curves import curves, draw_curves
from selfdistill.plots.embedding import draw_embedding, pca, tsne
from selfdistill.plots.masks import draw_masks
from selfdistill.plots.ranked import draw_ranked, ranked_outputs
from selfdistill.plots.recall import draw_recalls, recalls
from selfdistill.plots.reliability import draw_reliability, reliability
from selfdistill.plots.similarity import draw_similarities, similarities
from selfdistill.plots.style import PAGE, PHONE
from selfdistill.plots.svg import svg

__all__ = [
    "PAGE",
    "PHONE",
    "CollectedOutputs",
    "Figure",
    "Snapshot",
    "attention_maps",
    "cell_side",
    "collect",
    "confusion",
    "curves",
    "draw_attention",
    "draw_centers",
    "draw_confusion",
    "draw_critical_difference",
    "draw_curves",
    "draw_embedding",
    "draw_masks",
    "draw_ranked",
    "draw_recalls",
    "draw_reliability",
    "draw_similarities",
    "first_per_class",
    "mistakes",
    "pca",
    "ranked_outputs",
    "recalls",
    "reliability",
    "similarities",
    "snapshots",
    "svg",
    "tsne",
]
