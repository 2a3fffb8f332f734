"""Metrics on the page, and in metrics.csv."""

import csv
import io
import json
import re
from html import escape
from statistics import stdev

import pytest

from selfdistill.report import write
from selfdistill.report.html.page import page
from selfdistill.report.tables.metrics import class_table
from selfdistill.report.tables.metrics_csv import as_csv, read_metrics
from selfdistill.study.layout import run_folder
from selfdistill.study.load import load
from tests.helpers.written_studies import GAINS, measured
from tests.helpers.written_studies import write as written
from tests.report.html.test_page import PageParser


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    found = written(tmp_path_factory.mktemp("study"))
    measured(found, {"pgd": 200, "accuracy": 200})
    return found


@pytest.fixture(scope="module")
def text(study):
    return page([study], study.folder)


def section(text):
    """The page's section of metrics."""
    return re.search(r'<section aria-labelledby="[^"]*-metrics">.*?</section>', text, re.S)[0]


def table(text, label):
    """A table's cells without what they open to, a method a row; its heads first."""
    found = re.search(rf'aria-label="{label}">\s*<table.*?</table>', section(text), re.S)[0]
    bare = re.sub(r"<ul.*?</ul>|<caption.*?</caption>", "", found, flags=re.S)
    return [
        [" ".join(re.sub("<[^>]+>", " ", cell).split()) for cell in re.findall(r"<t[hd]\b.*?</t[hd]>", row, re.S)]
        for row in re.findall(r"<tr.*?</tr>", bare, re.S)
    ]


def test_every_table_has_every_method_and_the_better_direction(text):
    for label in ("Accuracy", "Confidence", "Embedding", "Robustness", "Images of other classes", "Cost"):
        head, *rows = table(text, label)
        assert [row[0].removesuffix(" baseline") for row in rows] == [escape(name) for name in GAINS]
        assert all(cell for row in rows for cell in row)
        assert head[0] == "method"
    assert table(text, "Confidence")[0][1:] == [
        "ECE % ↓ lower is better",
        "adaptive ECE % ↓ lower is better",
        "Brier ↓ lower is better",
        "AURC % ↓ lower is better",
        "excess AURC % ↓ lower is better",
    ]
    assert table(text, "Embedding")[0][1:] == [
        "recall@1 % ↑ higher is better",
        "intra-class variance",
        "inter-class variance",
    ]
    assert table(text, "Robustness")[0][1].startswith("corruptions % ↑")


def spread(method):
    """A method's numbers that go with its points: one seed is 0.3 above the one before."""
    return [0.3 * seed + points for seed, points in enumerate(GAINS[method])]


def test_verdicts_follow_the_better_direction(text):
    marks = {row[0]: row[1:] for row in table(text, "Confidence")[1:]}
    assert marks["csd()"][1] == "7.76 ± 0.49 better"  # 9 - 0.64 - 0.6, and less is better
    assert marks["scd()"][1].startswith("12.40 ± ")
    assert marks["scd()"][1].endswith(" worse")
    assert marks["label_smoothing()"][1] == f"8.42 ± {stdev(spread('label_smoothing()')):.2f}"
    assert marks["ce() baseline"][1] == f"8.40 ± {stdev(spread('ce()')):.2f}"
    assert {row[0]: row[1] for row in table(text, "Embedding")[1:]}["csd()"].endswith(" better")
    assert not any("better" in cell or "worse" in cell for row in table(text, "Cost")[1:] for cell in row)
    assert not any("better" in cell or "worse" in cell for row in table(text, "Accuracy by class")[1:] for cell in row)


def test_training_metrics_on_all_images_take_precedence(text, study):
    assert table(text, "Accuracy")[1][1].split()[0] == f"{95 + 0.6:.2f}"
    told = section(text)
    assert "On 200 of the 359 test images (class-stratified, the same for all runs): accuracy, pgd." in told
    assert "Top-1, top-5, NLL come from training, on all test images." in told
    assert "OOD images: svhn." in told


def test_a_cell_opens_to_its_difference_and_seeds(text):
    cell = section(text)
    assert "<li>against ce() <span>-0.64 [-0.78, -0.50]</span></li><li>p, corrected within this metric <span>" in cell
    assert "<li>verdict <span>better</span></li><li>detectable <span>" in cell
    assert "<li>seed 3 <span>7.30</span></li>" in cell


def test_the_commands_compute_the_same_metrics(study, text):
    words = f"selfdistill evaluate {study.folder} --metrics"
    assert read_metrics(study).commands == [
        f"{words} accuracy pgd --test-limit 200",
        f"{words} calibration selective recall spread classes fgsm corruption cost --ood svhn",
    ]
    bare = re.sub("<[^>]+>", "", text)
    assert all(command in bare for command in read_metrics(study).commands)


def test_one_command_for_a_subset_of_images_and_other_epsilons(tmp_path):
    study = written(tmp_path, {"ce()": GAINS["ce()"]})
    groups = ["accuracy", "calibration", "balance", "selective", "recall", "knn", "spread", "classes"]
    groups += ["fgsm", "pgd", "corruption"]
    measured(
        study,
        dict.fromkeys([*groups, "outside"], 50),
        knn={"knn": 80.0},
        fgsm={"1/255": 1.0},
        pgd={"1/255": 1.0},
        balance={"macro_f1": 50.0},
    )
    options = "--test-limit 50 --ood svhn --epsilons 1"
    assert read_metrics(study).commands == [f"selfdistill evaluate {tmp_path} --metrics all {options}"]


def test_the_page_is_whole_and_names_are_escaped(text):
    seen = PageParser(text)
    ids = seen.all("id")
    assert len(ids) == len(set(ids))
    assert not [tag for tag, _ in seen.elements if tag == "b"]
    assert "&lt;b&gt;3&lt;/b&gt;" in text
    keys = [float(key) for key in re.findall(r'data-key="([^"]*)"', section(text))]
    assert len(keys) > 200


def test_of_many_classes_the_largest_differences_are_shown(tmp_path):
    study = written(tmp_path)
    measured(study, classes=30)
    found = read_metrics(study)
    assert [spec.name for spec in class_table(found.scores).specs] == [f"<b>{k}</b>" for k in range(10, 30)]
    assert not found.all_classes
    assert "Accuracy by class: classes with the largest differences to ce()" in page([study], tmp_path)


def test_corruptions_fold_away(text):
    head, first, *_ = table(text, "Corruptions by severity and kind")
    assert [name.split(" ↑")[0] for name in head[1:8]] == [
        "mean",
        *(f"severity {k}" for k in range(1, 6)),
        "gaussian noise",
    ]
    assert len(head) == 1 + 1 + 5 + 17
    assert first[7].split()[0] == f"{80 - 10 + 0.6:.1f}"  # the mean of five severities, seeds at 0.3 points each


def test_a_study_without_evaluation_shows_the_metrics_of_training(tmp_path):
    study = written(tmp_path)
    told = section(page([study], tmp_path))
    assert "These metrics come from training" in told
    assert f"selfdistill evaluate {tmp_path} --metrics all" in re.sub("<[^>]+>", "", told)
    assert [row[0] for row in table(told, "Accuracy")[1:3]] == ["ce() baseline", "label_smoothing()"]
    assert "Corruptions" not in told


def test_runs_evaluated_on_other_images_are_left_out_with_a_note(study, tmp_path):
    other = written(tmp_path)
    measured(other)
    path = run_folder(tmp_path, "csd()", 3) / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"limited": {"recall": 40}}))
    run_folder(tmp_path, "byot()", 1).joinpath("metrics.json").unlink()
    text = page([other], tmp_path)
    rows = re.findall(r"seed 3", re.search(r'aria-label="Embedding".*?</table>', text, re.S)[0])
    assert len(rows) == 8 * 3 - 1
    assert "1 runs were evaluated on different images and are left out of these metrics" in text
    assert "1 finished runs have only the metrics of training." in text


def test_the_csv_has_every_metric_of_every_run(study, tmp_path):
    lines = list(csv.DictReader(io.StringIO(as_csv([study]))))
    assert list(lines[0]) == ["data", "model", "label_noise", "method", "seed", "metric", "value"]
    found = {(line["method"], line["seed"], line["metric"]): float(line["value"]) for line in lines}
    assert len(found) == len(lines)
    top1 = study.results["csd()"][2]["top1"]
    assert found["csd()", "2", "accuracy.top1"] == top1
    assert found["csd()", "2", "pgd.8/255"] == 30 + 2 * (top1 - 95)
    assert found["csd()", "2", "corruption.fog.5"] == 80 - 20 - 10 + (top1 - 95)
    assert found["csd()", "2", "classes.<b>9</b>.top1"] == 90 + (top1 - 95)
    assert not any(place.startswith(("kind.", "severity.")) for _, _, place in found)
    paths = write([study], tmp_path / "out", ())
    assert [path.name for path in paths][-1] == "metrics.csv"
    assert (tmp_path / "out" / "metrics.csv").read_text() == as_csv([load(study.folder)])
