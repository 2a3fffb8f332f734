"""What a study shows, in sentences."""

from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from selfdistill.report.text.words import code, listed
from selfdistill.study import Study
from selfdistill.study.analysis.comparison import Comparison
from selfdistill.study.analysis.statistics import MOST_SEEDS, Difference
from selfdistill.study.analysis.summary import Row

Compared = Mapping[str, Comparison]  # by method


def shows(study: Study, rows: Sequence[Row]) -> list[Markup]:
    """Which methods differ from the baseline, which cannot be told from it, and what they cost."""
    base = code(study.baseline)
    told = [
        *_compared({row.method: row.against for row in rows if row.against}, base),
        *_compared(_at_equal_compute(rows), Markup("{} at equal compute").format(base)),
        *_time(rows, base),
        *_added(rows),
    ]
    return told or [
        Markup("There is nothing to compare yet: it takes {} and another method on the same seed.").format(base)
    ]


def _at_equal_compute(rows: Sequence[Row]) -> dict[str, Comparison]:
    return {row.method: row.summary.equal_compute for row in rows if row.summary.equal_compute}


def _compared(found: Compared, base: Markup) -> Iterator[Markup]:
    """A sentence for each verdict that there is."""
    for word in ("better", "worse"):
        yield from _apart(_of(found, word), word, base)
    yield from _alike(_of(found, "not distinguishable"), base)
    yield from _single(_of(found, "one seed"), base)


def _of(found: Compared, verdict: str) -> Compared:
    """Those with a verdict, the largest difference first."""
    some = {method: each for method, each in found.items() if each.verdict == verdict}
    return dict(sorted(some.items(), key=lambda pair: -abs(pair[1].difference.mean)))


def _apart(found: Compared, word: str, base: Markup) -> Iterator[Markup]:
    """Those on one side of the baseline."""
    if found:
        (first, gap), *rest = found.items()
        told = Markup("{} is <strong>{}</strong> than {} by {:.2f} points (95\u00a0% interval {})").format(
            code(first), word, base, abs(gap.difference.mean), _interval(gap.difference)
        )
        yield Markup("{}.").format(listed([told, *(_further(method, each.difference) for method, each in rest)]))


def _further(method: str, gap: Difference) -> Markup:
    return Markup("{} by {:.2f} ({})").format(code(method), abs(gap.mean), _interval(gap))


def _alike(found: Compared, base: Markup) -> Iterator[Markup]:
    if found:
        told = Markup("{} <strong>cannot be told apart</strong> from {} with these seeds")
        yield Markup("{}{}.").format(told.format(_names(found), base), _seeds_needed(found))


def _seeds_needed(found: Compared) -> str:
    """How many seeds would do, if the differences are as they seem."""
    needed = sorted({each.seeds_needed or MOST_SEEDS + 1 for each in found.values() if each.difference.std})
    ends = [f"{seeds:,}" if seeds <= MOST_SEEDS else f"more than {MOST_SEEDS:,}" for seeds in needed[:1] + needed[-1:]]
    told = " to ".join(dict.fromkeys(ends))
    return f"; were the differences as they seem, it would take {told} seeds to see them" if told else ""


def _single(found: Compared, base: Markup) -> Iterator[Markup]:
    if found:
        yield Markup("<strong>One seed</strong> does not tell {} from {}.").format(_names(found), base)


def _names(found: Compared) -> Markup:
    return listed([code(method) for method in found])


def _time(rows: Sequence[Row], base: Markup) -> Iterator[Markup]:
    timed = [(row.summary.time, code(row.method)) for row in rows if row.summary.time and not row.is_baseline]
    if timed:
        (low, first), (high, last) = min(timed), max(timed)
        times = Markup("{:.2f} ({}) to {:.2f} ({})").format(low, first, high, last)
        only = Markup("{:.2f}").format(high)
        yield Markup("A step takes {} times as long as with {}.").format(only if len(timed) == 1 else times, base)


def _added(rows: Sequence[Row]) -> Iterator[Markup]:
    if added := [Markup("{} {:,}").format(code(row.method), row.summary.added) for row in rows if row.summary.added]:
        yield Markup("Parameters trained beside the model, and never deployed: {}.").format(listed(added))


def _interval(gap: Difference) -> str:
    """The interval on the side that the word before it names."""
    if gap.low is None or gap.high is None:
        return "no interval"
    low, high = (gap.low, gap.high) if gap.mean > 0 else (-gap.high, -gap.low)
    return f"{low:.2f} to {high:.2f}".replace("-", "−")
