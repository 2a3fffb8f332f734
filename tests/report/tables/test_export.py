"""The files beside the page hold the printed numbers."""

import csv
import io
import json
import re

import pytest

from selfdistill.report.html.page import page
from selfdistill.report.tables.accuracy import full_table, markdown, rows
from selfdistill.report.tables.export import as_csv, as_latex, as_markdown, escape_latex
from selfdistill.study.load import load
from tests.helpers.written_studies import GAINS, write


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write(tmp_path_factory.mktemp("study"), without=[("byot()", 4)])


def test_csv_has_the_printed_numbers(study):
    lines = list(csv.DictReader(io.StringIO(as_csv([study]))))
    assert [line["method"] for line in lines] == list(GAINS)
    for line, (_, accuracy, gap, p, verdict, least, added, step, n) in zip(lines, rows(study), strict=True):
        assert f"{line['mean']} ± {line['std']}" == accuracy
        assert [line["n"], f"{line['step_time']}x"] == [n, step]
        told = [line[each] for each in ("difference", "low", "high")]
        assert told == (re.findall(r"-?[\d.]+", gap) or ["", "", ""])
        assert line["verdict"] == verdict.replace("baseline", "")
        assert line["detectable"] == least
        assert f"{int(line['added_parameters']):,}" == added.removeprefix("+")
        assert p == ("<.001" if "e-" in line["p"] else line["p"])
    assert [line["added_parameters"] for line in lines[:3]] == ["0", "0", "9610"]
    names, cells = full_table(study)
    assert [line["seeds_needed"] for line in lines] == [row[names.index("seeds needed")] for row in cells]
    assert [line["seed_correlation"] for line in lines] == [row[names.index("seed correlation")] for row in cells]
    assert lines[0]["validation_best"] == lines[0]["mean"] == lines[0]["best_epoch_mean"]
    assert cells[0][names.index("top-1 % at best validation")] == cells[0][names.index("top-1 %")]


def test_csv_and_the_page_have_equal_compute(tmp_path):
    gains = {name: GAINS[name] for name in ("ce()", "csd()")} | {"ce() at 2.0x": (1.0, 1.1, 0.9, 1.2, 1.0)}
    write(tmp_path, gains)
    said = json.loads((tmp_path / "study.json").read_text())
    said |= {"epochs": {"ce() at 2.0x": 6}, "compute": {"ce()": 1.0, "csd()": 2.0, "ce() at 2.0x": 2.0}}
    (tmp_path / "study.json").write_text(json.dumps(said))
    study = load(tmp_path)
    lines = list(csv.DictReader(io.StringIO(as_csv([study]))))
    assert [line["compute"] for line in lines] == ["1.00", "2.00", "2.00"]
    assert (lines[1]["equal_compute_difference"], lines[1]["equal_compute_verdict"]) == ("-0.40", "worse")
    text = re.sub("</?\\w+>", "", page([study], tmp_path))
    assert "csd() is worse than ce() at equal compute by 0.40 points" in text
    assert "--methods" in text
    assert "--equal-compute" in text
    assert "↑ points of top-1" in text
    assert "compute, relative" in text


def test_markdown_of_one_study_equals_that_of_compare(study):
    assert as_markdown([study]) == markdown(study)


def test_several_studies_have_headings(study, tmp_path):
    other = write(tmp_path / "other", seeds=2)
    assert as_markdown([study, other]).count("\n| ce() |") == 2
    assert "## other" in as_markdown([study, other])
    assert len(as_csv([study, other]).splitlines()) == 1 + 2 * len(GAINS)
    assert as_latex([study, other]).count(r"\toprule") == 2


def test_latex_is_escaped_and_full_table(study):
    text = as_latex([study])
    assert r"\texttt{label\_smoothing()}" in text
    assert r"\texttt{$<$img src=x onerror=alert(1)$>$}" in text
    assert text.count(r"\\") == len(GAINS) + 1
    assert {line.count(" & ") for line in text.splitlines() if line.endswith(r"\\")} == {14}
    assert r"$\pm$" in text
    assert "±" not in text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("50%_#&$", r"50\%\_\#\&\$"),
        ("a\\b{}", r"a\textbackslash{}b\{\}"),
        ("-4.07 [-6.83, -1.30]", "$-$4.07 [$-$6.83, $-$1.30]"),
        ("resnet-20", "resnet-20"),
        ('<.001 "a"', r"$<$.001 {\char34}a{\char34}"),
        ("tap='x'", r"tap=\textquotesingle{}x\textquotesingle{}"),
    ],
)
def test_escaping(text, wanted):
    assert escape_latex(text) == wanted
