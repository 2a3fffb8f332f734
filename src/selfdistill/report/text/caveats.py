"""What a study does not show, in sentences."""

from collections.abc import Iterator, Sequence

from selfdistill.report.runs import Run
from selfdistill.report.text.words import count
from selfdistill.study import Study
from selfdistill.study.analysis.comparison import Comparison
from selfdistill.study.analysis.summary import Row

MANY = 10  # seeds


def shows_not(study: Study, rows: Sequence[Row], runs: dict[str, list[Run]]) -> list[str]:
    """What nobody should conclude."""
    run = next(run for each in runs.values() for run in each)
    images, base = run.facts.get("images", {}), study.base
    with_images = f" with {images['train']:,} training images" if "train" in images else ""
    with_images += f", {100 * base.label_noise:g}\u00a0% of their labels wrong," if base.label_noise else ""
    return [
        *_seeds([row.against for row in rows if row.against]),
        *_test_set(images.get("test")),
        f"It is about {base.model} on {base.data}{with_images} for {count(base.epochs, 'epoch')}; with another model, "
        "size or length the order may change.",
        "Step times compare only on a machine that did nothing else meanwhile.",
    ]


def _seeds(compared: Sequence[Comparison]) -> Iterator[str]:
    least = min((each.difference.n for each in compared), default=MANY)
    if least < MANY:
        yield f"{count(least, 'seed')} {'is' if least == 1 else 'are'} few: a real difference may not show."
    if len(compared) > 1:
        yield (
            f"The {len(compared)} verdicts are corrected for their number (Holm): that even one method only seems "
            "better or worse has a chance of 5\u00a0% at most. The intervals are not corrected: one may leave out "
            "zero where the verdict sees no difference."
        )


def _test_set(images: int | None) -> Iterator[str]:
    if images:
        yield (
            f"The test set has {images:,} images: one image is {100 / images:.2g} points. The intervals are over "
            "seeds; another test set would add to them."
        )
