"""Findings of a study in sentences."""

from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from selfdistill.report.text.words import code, join_with_and
from selfdistill.study import Study
from selfdistill.study.analysis.comparison import Comparison
from selfdistill.study.analysis.statistics import MOST_SEEDS, Difference
from selfdistill.study.analysis.summary import Row

Compared = Mapping[str, Comparison]  # by method


def findings(study: Study, rows: Sequence[Row]) -> list[Markup]:
    """List the methods that differ from the baseline, those that do not, and the cost."""
    base = code(study.baseline)
    sentences = [
        *_compared({row.method: row.against for row in rows if row.against}, base, study.unit),
        *_compared(_equal_compute(rows), Markup("{} at equal compute").format(base), study.unit),
        *_time(rows, base),
        *_added(rows),
    ]
    return sentences or [
        Markup("There is nothing to compare yet: finish runs of {} and another method with the same {}.").format(
            base, study.unit
        )
    ]


def _equal_compute(rows: Sequence[Row]) -> dict[str, Comparison]:
    return {row.method: row.summary.equal_compute for row in rows if row.summary.equal_compute}


def _compared(found: Compared, base: Markup, unit: str) -> Iterator[Markup]:
    """Yield a sentence for each verdict."""
    for word in ("better", "worse"):
        yield from _significant(_with_verdict(found, word), word, base)
    yield from _not_distinguishable(_with_verdict(found, "not distinguishable"), base, unit)
    yield from _one_seed(_with_verdict(found, f"one {unit}"), base, unit)
    yield from _untested(_with_verdict(found, "untested"), base)


def _with_verdict(found: Compared, verdict: str) -> Compared:
    """Select the methods with a verdict, largest difference first."""
    some = {method: each for method, each in found.items() if each.verdict == verdict}
    return dict(sorted(some.items(), key=lambda pair: -abs(pair[1].difference.mean)))


def _significant(found: Compared, word: str, base: Markup) -> Iterator[Markup]:
    """Yield the sentence about methods on one side of the baseline."""
    if found:
        (first, gap), *rest = found.items()
        sentence = Markup("{} is <strong>{}</strong> than {} by {:.2f} points (95\u00a0% interval {})").format(
            code(first), word, base, abs(gap.difference.mean), _interval(gap.difference)
        )
        yield Markup("{}.").format(
            join_with_and([sentence, *(_difference(method, each.difference) for method, each in rest)])
        )


def _difference(method: str, gap: Difference) -> Markup:
    return Markup("{} by {:.2f} ({})").format(code(method), abs(gap.mean), _interval(gap))


def _not_distinguishable(found: Compared, base: Markup, unit: str) -> Iterator[Markup]:
    if found:
        sentence = Markup("{} <strong>cannot be distinguished</strong> from {} with these {}s")
        start = sentence.format(_names(found), base, unit)
        yield Markup("{}{}{}.").format(start, _detectable(found), _seeds_needed(found))


def _detectable(found: Compared) -> str:
    """Return the range of the smallest differences that the seeds or folds could show."""
    least = sorted(each.detectable for each in found.values() if each.detectable is not None)
    ends = " to ".join(dict.fromkeys(f"{each:.2f}" for each in least[:1] + least[-1:]))
    return f", which could show differences of {ends} points or more" if ends else ""


def _seeds_needed(found: Compared) -> str:
    """Return the range of the number of seeds needed, assuming the observed differences."""
    ranges = [each.seeds_needed_range for each in found.values()]
    needed = sorted({seeds or MOST_SEEDS + 1 for pair in ranges if pair for seeds in pair})
    ends = [f"{seeds:,}" if seeds <= MOST_SEEDS else f"more than {MOST_SEEDS:,}" for seeds in needed[:1] + needed[-1:]]
    sentence = " to ".join(dict.fromkeys(ends))
    return f"; if the observed differences are true, {sentence} seeds are needed to detect them" if sentence else ""


def _one_seed(found: Compared, base: Markup, unit: str) -> Iterator[Markup]:
    if found:
        sentence = Markup("<strong>One {}</strong> is not enough to compare {} with {}.")
        yield sentence.format(unit, _names(found), base)


def _untested(found: Compared, base: Markup) -> Iterator[Markup]:
    if found:
        sentence = Markup("<strong>No test is possible</strong> of {} against {}: all differences are equal.")
        yield sentence.format(_names(found), base)


def _names(found: Compared) -> Markup:
    return join_with_and([code(method) for method in found])


def _time(rows: Sequence[Row], base: Markup) -> Iterator[Markup]:
    timed = [(row.summary.time, code(row.method)) for row in rows if row.summary.time and not row.is_baseline]
    if timed:
        (low, first), (high, last) = min(timed), max(timed)
        times = Markup("{:.2f} ({}) to {:.2f} ({})").format(low, first, high, last)
        only = Markup("{:.2f}").format(high)
        yield Markup("A step takes {} times as long as with {}.").format(only if len(timed) == 1 else times, base)


def _added(rows: Sequence[Row]) -> Iterator[Markup]:
    if added := [Markup("{} {:,}").format(code(row.method), row.summary.added) for row in rows if row.summary.added]:
        yield Markup("Extra parameters in training, not in the exported model: {}.").format(join_with_and(added))


def _interval(gap: Difference) -> str:
    """Format the interval of the absolute difference."""
    if gap.low is None or gap.high is None:
        return "no interval"
    low, high = (gap.low, gap.high) if gap.mean > 0 else (-gap.high, -gap.low)
    return f"{low:.2f} to {high:.2f}".replace("-", "−")
