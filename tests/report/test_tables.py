"""The files beside the page hold the printed numbers."""

import csv
import io
import re

import pytest

from selfdistill.report.tables import as_csv, as_latex, as_markdown, escaped
from selfdistill.study.table import markdown, rows
from tests.report.written import GAINS, write


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write(tmp_path_factory.mktemp("study"), without=[("byot()", 4)])


def test_csv_has_the_printed_numbers(study):
    lines = list(csv.DictReader(io.StringIO(as_csv([study]))))
    assert [line["method"] for line in lines] == list(GAINS)
    for line, (_, accuracy, gap, verdict, added, step, n) in zip(lines, rows(study), strict=True):
        assert f"{line['top1_mean']} ± {line['top1_std']}" == accuracy
        assert [line["verdict"], line["n"], f"{line['step_time']}x"] == [verdict, n, step]
        assert int(line["added_parameters"]) == int(added.replace(",", ""))
        told = [line[each] for each in ("difference", "low", "high")]
        assert told == (re.findall(r"-?[\d.]+", gap) or ["", "", ""])


def test_one_study_in_markdown_is_as_compare_writes_it(study):
    assert as_markdown([study]) == markdown(study)


def test_several_studies_are_told_apart(study, tmp_path):
    other = write(tmp_path / "other", seeds=2)
    assert as_markdown([study, other]).count("\n| ce() |") == 2
    assert "## other" in as_markdown([study, other])
    assert len(as_csv([study, other]).splitlines()) == 1 + 2 * len(GAINS)
    assert as_latex([study, other]).count(r"\toprule") == 2


def test_latex_is_escaped_and_whole(study):
    text = as_latex([study])
    assert r"\texttt{label\_smoothing()}" in text
    assert r"\texttt{\textless{}img src=x onerror=alert(1)\textgreater{}}" in text
    assert text.count(r"\\") == len(GAINS) + 1
    assert {line.count(" & ") for line in text.splitlines() if line.endswith(r"\\")} == {6}
    assert r"$\pm$" in text
    assert "±" not in text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("50%_#&$", r"50\%\_\#\&\$"),
        ("a\\b{}", r"a\textbackslash{}b\{\}"),
        ("-4.07 [-6.83, -1.30]", "$-$4.07 [$-$6.83, $-$1.30]"),
        ("resnet-20", "resnet-20"),
        ("tap='x'", r"tap=\textquotesingle{}x\textquotesingle{}"),
    ],
)
def test_escaping(text, wanted):
    assert escaped(text) == wanted
