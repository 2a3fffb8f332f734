"""Caveats of a study in sentences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from selfdistill.data.center_crop import WHOLE, recorded_crop
from selfdistill.models.pretrained_input import DATA, describe_input
from selfdistill.records import RunInfo
from selfdistill.report.runs import Run
from selfdistill.report.text.words import count
from selfdistill.study import Study
from selfdistill.study.analysis.comparison import Comparison
from selfdistill.study.analysis.summary import Row
from selfdistill.task import CLASSIFY

FEW_SEEDS = 10  # fewer get a caveat


def caveats(study: Study, rows: Sequence[Row], runs: dict[str, list[Run]]) -> list[str]:
    """List the limits of what a study shows: seeds, test set, model, data, machine."""
    run = next(run for each in runs.values() for run in each)
    images, base = run.facts.get("images", {}), study.base
    with_images = f" with {images['train']:,} training images" if "train" in images else ""
    with_images += f", {100 * base.label_noise:g}\u00a0% label noise," if base.label_noise else ""
    length = count(int(base.epochs), "epoch") if base.whole else base.length
    return [
        *_seeds([row.against for row in rows if row.against], study.unit),
        *_test_set(images.get("test"), study),
        f"Results hold for {base.model} on {base.data}{with_images} for {length}; the ranking may differ "
        "for another model, data set or number of epochs.",
        *_input(run.facts),
        "Step times are comparable only if the machine was otherwise idle.",
    ]


def _input(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence on the input of trained weights, and on a center crop that leaves margins out."""
    source, crop = facts.get("normalization", DATA), recorded_crop(cast(RunInfo, facts))
    if source != DATA or crop != WHOLE:
        yield f"Test images are {describe_input(facts['mean'], facts['std'], source, crop)}."


def _seeds(compared: Sequence[Comparison], unit: str) -> Iterator[str]:
    least = min((each.difference.n for each in compared), default=FEW_SEEDS)
    if least < FEW_SEEDS:
        yield f"With only {count(least, unit)}, a true difference may not be significant."
    if len(compared) > 1:
        yield (
            f'The {len(compared)} verdicts are Holm-corrected: the probability of any false "better" or "worse" is at '
            "most 5\u00a0%. The intervals are not corrected: one may exclude zero although the verdict is not "
            "distinguishable."
        )


def _test_set(count: int | None, study: Study) -> Iterator[str]:
    if count and study.folds:
        yield (
            f"Each of the {study.folds} folds is the test set once, of about {count:,} images. Folds share training "
            "images, which widens the intervals by the correction of Nadeau and Bengio; no exact test is known."
        )
    elif count:
        one = f": one image is {100 / count:.2g} points" if study.task.name == CLASSIFY else ""
        yield (
            f"The test set has {count:,} images{one}. The intervals cover the variation over seeds, not over test sets."
        )
