"""Tables of metrics: means, deviations and verdicts against scipy."""

import json
from statistics import fmean, stdev

import numpy as np
import pytest
from scipy import stats

from selfdistill.metrics.catalog import MetricSpec
from selfdistill.report.tables.metrics import header, metric_tables, notes, rows
from selfdistill.study.evaluation.metric_specs import KNOWN
from selfdistill.study.evaluation.results import read_metric_table
from selfdistill.study.layout import run_folder
from selfdistill.study.load import load
from selfdistill.study.study import Study
from selfdistill.train.config import RunConfig
from tests.helpers.written_studies import run as write_run

METHODS = {"ce()": 0.0, "dsr()": 0.4, "drg()": -0.8, "csd()": 2.0, "scd()": 0.05}
SEEDS = 6
PLACES = ("ece", "adaptive_ece", "brier")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of which everything is random but the methods' effects; csd() lacks a seed, scd() all metrics."""
    folder, draws = tmp_path_factory.mktemp("study"), np.random.default_rng(0)
    said = {"methods": list(METHODS), "seeds": list(range(SEEDS)), "base": RunConfig("ce()").to_json()}
    (folder / "study.json").write_text(json.dumps(said))
    for method, effect in METHODS.items():
        for seed in range(SEEDS - (method == "csd()")):
            place = run_folder(folder, method, seed)
            top1 = min(90 + effect + draws.normal(), 100)
            write_run(folder, method, seed, top1, 0, RunConfig("ce()", epochs=3), {})
            numbers = dict(zip(PLACES, 5 + effect + draws.normal(0, 0.3, len(PLACES)), strict=True))
            facts = {"data": "digits", "images": 359, "metrics": {"calibration": numbers}}
            if method != "scd()":
                (place / "metrics.json").write_text(json.dumps(facts))
    found = load(folder)
    for seeds in found.results.values():
        seeds.update({seed: {"top1": result["top1"]} for seed, result in seeds.items()})  # nothing else is tabled
    return found


def stored(study: Study, method: str, name: str) -> dict[int, float]:
    files = {seed: run_folder(study.folder, method, seed) / "metrics.json" for seed in range(SEEDS)}
    read = {seed: json.loads(file.read_text()) for seed, file in files.items() if file.exists()}
    return {seed: each["metrics"]["calibration"][name] for seed, each in read.items()}


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Step down: the k-th smallest of n counts n - k times, and none is below the one before."""
    order = sorted(p_values, key=p_values.get)
    return {
        name: min(1.0, max((len(order) - rank) * p_values[order[rank]] for rank in range(order.index(name) + 1)))
        for name in order
    }


def test_cells_agree_with_scipy(study):
    (_, table) = metric_tables(read_metric_table(study))
    assert [spec.name for spec in table.specs] == ["ECE %", "adaptive ECE %", "Brier"]
    assert [row for row, _ in table.rows] == ["ce()", "dsr()", "drg()", "csd()"]
    verdicts = set()
    for k, name in enumerate(PLACES):
        base = stored(study, "ce()", name)
        own = {method: stored(study, method, name) for method in ("dsr()", "drg()", "csd()")}
        tests = {
            method: stats.ttest_rel(list(found.values()), [base[seed] for seed in found])
            for method, found in own.items()
        }
        corrected = holm({method: test.pvalue for method, test in tests.items()})
        for method, cells in table.rows:
            cell, found = cells[k], stored(study, method, name)
            assert (cell.mean_std.mean, cell.mean_std.std) == pytest.approx(
                (fmean(found.values()), stdev(found.values()))
            )
            if method == "ce()":
                assert (cell.compared, cell.verdict) == (None, "")
                continue
            assert cell.compared.corrected_p == pytest.approx(corrected[method])
            low, high = tests[method].confidence_interval(0.95)
            assert (cell.compared.difference.low, cell.compared.difference.high) == pytest.approx((low, high))
            lower = tests[method].statistic < 0
            want = "not distinguishable" if corrected[method] > 0.05 else "better" if lower else "worse"
            assert cell.verdict == want
            verdicts.add(want)
    assert verdicts == {"better", "worse", "not distinguishable"}


def test_higher_is_better_for_accuracy(study):
    table, _ = metric_tables(read_metric_table(study))
    top1 = {row: [study.results[row][seed]["top1"] for seed in study.results[row]] for row in METHODS}
    test = stats.ttest_rel(top1["csd()"], top1["ce()"][:5])
    assert test.statistic > 0
    (cell,) = dict(table.rows)["csd()"]
    assert cell.compared.difference.p == pytest.approx(test.pvalue)
    assert cell.verdict == ("better" if cell.compared.corrected_p <= 0.05 else "not distinguishable")
    assert [row for row, _ in table.rows] == list(METHODS)


def test_the_terminals_table(study):
    _, table = metric_tables(read_metric_table(study))
    assert header(table) == ("method", "ECE % ↓", "adaptive ECE % ↓", "Brier ↓")
    found = stored(study, "csd()", "ece")
    assert rows(table)[3][:2] == ("csd()", f"{fmean(found.values()):.2f} ± {stdev(found.values()):.2f} worse")
    assert notes(read_metric_table(study)) == [
        "mean ± standard deviation over seeds; better and worse than ce() on shared seeds where p (paired t-test, "
        "Holm-corrected over the methods within one metric, not over metrics) is below 0.05. Cost is not tested.",
        "6 finished runs have only the metrics of training.",
    ]


def test_counts_and_times_are_not_tested():
    assert {spec.name for spec in KNOWN if spec.group == "Cost" and spec.tested} == set()
    assert not MetricSpec("x", "y", "z").tested
    assert all(spec.tested for spec in KNOWN if spec.group != "Cost" and spec.better)


@pytest.mark.parametrize(
    ("form", "value", "wanted"),
    [("#.3g", 6.1, "6.10"), ("#.3g", 123.4, "123"), ("#.3g", 0.16, "0.160"), (",.0f", 78042, "78,042")],
)
def test_number_formats(form, value, wanted):
    assert MetricSpec("x", "y", "z", form=form).text(value) == wanted
