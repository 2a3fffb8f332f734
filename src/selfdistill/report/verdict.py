"""What a study shows, in sentences; and what it does not."""

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from selfdistill.report.row import Row
from selfdistill.report.runs import Run
from selfdistill.study import Study


def shows(study: Study, rows: Sequence[Row]) -> list[Markup]:
    """Which methods differ from the baseline, which cannot be told from it, and what they cost."""
    base = code(study.baseline)
    told = [
        *_apart([row for row in rows if row.verdict == "better"], "better", base),
        *_apart([row for row in rows if row.verdict == "worse"], "worse", base),
        *_alike([row for row in rows if row.verdict == "not distinguishable"], base),
        *_single([row for row in rows if row.verdict == "one seed"], base),
        *_time(rows, base),
        *_added(rows),
    ]
    return told or [
        Markup("There is nothing to compare yet: it takes {} and another method on the same seed.").format(base)
    ]


def shows_not(study: Study, rows: Sequence[Row], runs: dict[str, list[Run]]) -> list[str]:
    """What nobody should conclude."""
    compared = [row.difference.n for row in rows if row.difference]
    run = next(run for each in runs.values() for run in each)
    images, base = run.facts.get("images", {}), study.base
    with_images = f" with {images['train']:,} training images" if "train" in images else ""
    return [
        *_seeds(compared),
        *_test_set(images.get("test")),
        f"It is about {base.model} on {base.data}{with_images} for {_count(base.epochs, 'epoch')}; with another model, "
        "size or length the order may change.",
        "Step times compare only on a machine that did nothing else meanwhile.",
    ]


def code(text: str) -> Markup:
    """A method as it is typed."""
    return Markup("<code>{}</code>").format(text)


def _names(rows: Sequence[Row]) -> Markup:
    return _and([code(row.method) for row in rows])


def _apart(rows: Sequence[Row], word: str, base: Markup) -> Iterator[Markup]:
    """Those on one side of the baseline, the farthest first."""
    ordered = sorted((row for row in rows if row.difference), key=lambda row: -abs(_gain(row)))
    if ordered:
        first, *rest = ordered
        told = Markup("{} is <strong>{}</strong> than {} by {:.2f} points (95\u00a0% interval {})").format(
            code(first.method), word, base, abs(_gain(first)), _interval(first)
        )
        others = [Markup("{} by {:.2f} ({})").format(code(row.method), abs(_gain(row)), _interval(row)) for row in rest]
        yield Markup("{}.").format(_and([told, *others]))


def _alike(rows: Sequence[Row], base: Markup) -> Iterator[Markup]:
    if rows:
        yield Markup("{} <strong>cannot be told apart</strong> from {} with these seeds.").format(_names(rows), base)


def _single(rows: Sequence[Row], base: Markup) -> Iterator[Markup]:
    if rows:
        yield Markup("<strong>One seed</strong> does not tell {} from {}.").format(_names(rows), base)


def _time(rows: Sequence[Row], base: Markup) -> Iterator[Markup]:
    timed = [(row.step_time, code(row.method)) for row in rows if row.step_time and not row.is_baseline]
    if timed:
        (low, first), (high, last) = min(timed), max(timed)
        times = Markup("{:.2f} ({}) to {:.2f} ({})").format(low, first, high, last)
        only = Markup("{:.2f}").format(high)
        yield Markup("A step takes {} times as long as with {}.").format(only if len(timed) == 1 else times, base)


def _added(rows: Sequence[Row]) -> Iterator[Markup]:
    if added := [Markup("{} {:,}").format(code(row.method), row.added) for row in rows if row.added]:
        yield Markup("Parameters trained beside the model, and never deployed: {}.").format(_and(added))


def _gain(row: Row) -> float:
    return row.difference.mean if row.difference else 0.0


def _interval(row: Row) -> str:
    """The interval on the side that the word before it names."""
    low, high = (row.low, row.high) if _gain(row) > 0 else (-row.high, -row.low)
    return f"{low:.2f} to {high:.2f}".replace("-", "−")


def _seeds(compared: Sequence[int]) -> Iterator[str]:
    if not compared:
        return
    least = min(compared)
    if least < 10:
        yield f"{_count(least, 'seed')} {'is' if least == 1 else 'are'} few: a real difference may not show."
    if len(compared) > 1:
        luck = 100 * (1 - 0.95 ** len(compared))
        yield (
            f"{len(compared)} methods are compared at 95\u00a0% each, and the intervals are not widened for it: were "
            f"none better or worse, one at least would seem so with a chance of up to {luck:.0f}\u00a0%."
        )


def _test_set(images: int | None) -> Iterator[str]:
    if images:
        yield (
            f"The test set has {images:,} images: one image is {100 / images:.2g} points. The intervals are over "
            "seeds; another test set would add to them."
        )


def _and(parts: Sequence[Markup]) -> Markup:
    if len(parts) < 2:
        return Markup("").join(parts)
    return Markup("{} and {}").format(Markup(", ").join(parts[:-1]), parts[-1])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
