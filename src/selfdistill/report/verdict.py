"""What a study shows, in sentences; and what it does not."""

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from selfdistill.report.row import Row
from selfdistill.report.runs import Run
from selfdistill.study import Study


def shows(study: Study, rows: Sequence[Row]) -> list[Markup]:
    """Which methods differ from the baseline, which cannot be told from it, and what they cost."""
    base, by_verdict = code(study.baseline), {}
    for row in rows:
        by_verdict.setdefault(row.verdict, []).append(row)
    told = [
        *_apart(by_verdict.get("better", []), "better", base),
        *_apart(by_verdict.get("worse", []), "worse", base),
        *_alike(by_verdict.get("not distinguishable", []), base),
        *_single(by_verdict.get("one seed", []), base),
        *_cost(rows, base),
    ]
    return told or [Markup("There is nothing to compare yet: only {} has finished a run.").format(names(rows))]


def shows_not(study: Study, rows: Sequence[Row], runs: dict[str, list[Run]]) -> list[str]:
    """What nobody should conclude."""
    compared = [row.difference.n for row in rows if row.difference]
    run = next(run for each in runs.values() for run in each)
    images, base = run.facts.get("images", {}), study.base
    return [
        *_seeds(compared),
        *_test_set(images.get("test")),
        f"It is about {base.model} on {base.data}"
        + (f" with {images['train']:,} training images" if "train" in images else "")
        + f" for {_count(base.epochs, 'epoch')}; with another model, size or length the order may change.",
        "Step times compare only on a machine that did nothing else meanwhile.",
    ]


def code(text: str) -> Markup:
    """A method as it is typed."""
    return Markup("<code>{}</code>").format(text)


def names(rows: Sequence[Row]) -> Markup:
    """Methods in a row of words."""
    return _and([code(row.method) for row in rows])


def _apart(rows: Sequence[Row], word: str, base: Markup) -> Iterator[Markup]:
    """Those on one side of the baseline, the farthest first."""
    if rows:
        ordered = sorted(rows, key=lambda row: -abs(row.difference.mean if row.difference else 0))
        gaps = _and([Markup("{} by {}").format(code(row.method), _gap(row)) for row in ordered])
        yield Markup("<strong>{}</strong> than {}: {}.").format(word.capitalize(), base, gaps)


def _alike(rows: Sequence[Row], base: Markup) -> Iterator[Markup]:
    if rows:
        yield Markup("<strong>Not distinguishable</strong> from {} with these seeds: {}.").format(base, names(rows))


def _single(rows: Sequence[Row], base: Markup) -> Iterator[Markup]:
    if rows:
        yield Markup("<strong>One seed</strong> cannot tell {} from {}.").format(names(rows), base)


def _cost(rows: Sequence[Row], base: Markup) -> Iterator[Markup]:
    timed = sorted(
        ((row.step_time, row) for row in rows if row.step_time and not row.is_baseline), key=lambda pair: pair[0]
    )
    if timed:
        (low, first), (high, last) = timed[0], timed[-1]
        ends = Markup("from {:.2f} ({}) to {:.2f} ({})").format(low, code(first.method), high, code(last.method))
        span = ends if len(timed) > 1 else Markup("{:.2f}").format(high)
        yield Markup("<strong>Cost</strong>: a step takes {} times as long as with {}.").format(span, base)
    if added := [row for row in rows if row.added]:
        grown = _and([Markup("{} {:,}").format(code(row.method), row.added) for row in added])
        yield Markup("Parameters that are trained beside the model and never deployed: {}.").format(grown)


def _gap(row: Row) -> str:
    if row.difference is None:
        return ""
    return f"{abs(row.difference.mean):.2f} points (95 % interval {row.low:+.2f} to {row.high:+.2f})"


def _seeds(compared: Sequence[int]) -> Iterator[str]:
    if not compared:
        return
    least = min(compared)
    if least < 10:
        yield f"{_count(least, 'seed')} {'is' if least == 1 else 'are'} few: a real difference may not show."
    if len(compared) > 1:
        luck = 100 * (1 - 0.95 ** len(compared))
        yield (
            f"{len(compared)} methods are compared at 95 % each, and the intervals are not widened for it: were all "
            f"as good as the baseline, one at least would seem to differ with a chance of up to {luck:.0f} %."
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
