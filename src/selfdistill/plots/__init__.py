"""Pictures of finished runs: numbers first, each drawn by a function of its own, and SVG for any page.

    shown = collect(model, splits.test, augment)                        # logits, labels, embedding
    figure = draw_reliability({"ce()": reliability(shown.logits, shown.labels)}, width=PHONE)
    page += svg(figure, "reliability", "Accuracy by confidence")

Numbers come as a mapping from what a panel, row or line is called, mostly a method, to what is drawn there. Every
`draw_…` takes `width` in pixels, `PAGE` or `PHONE`, and lays its panels out for it.
"""

from selfdistill.plots.attention import attended, cell_side, draw_attention
from selfdistill.plots.centers import Moment, draw_centers, moments
from selfdistill.plots.collect import Shown, collect, some
from selfdistill.plots.confusion import confusion, draw_confusion, mistakes
from selfdistill.plots.curves import curves, draw_curves
from selfdistill.plots.embedding import draw_embedding, pca, tsne
from selfdistill.plots.ranked import draw_ranked, ranked_outputs
from selfdistill.plots.reliability import draw_reliability, reliability
from selfdistill.plots.similarity import draw_similarities, similarities
from selfdistill.plots.style import PAGE, PHONE
from selfdistill.plots.svg import svg

__all__ = [
    "PAGE",
    "PHONE",
    "Moment",
    "Shown",
    "attended",
    "cell_side",
    "collect",
    "confusion",
    "curves",
    "draw_attention",
    "draw_centers",
    "draw_confusion",
    "draw_curves",
    "draw_embedding",
    "draw_ranked",
    "draw_reliability",
    "draw_similarities",
    "mistakes",
    "moments",
    "pca",
    "ranked_outputs",
    "reliability",
    "similarities",
    "some",
    "svg",
    "tsne",
]
