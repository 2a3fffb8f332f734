"""Contents of the page, without a browser."""

import csv
import io
import json
import re
from dataclasses import replace
from functools import partial
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from selfdistill import plots
from selfdistill.cli.app import main
from selfdistill.errors import UserError
from selfdistill.plots import draw_curves
from selfdistill.report import PICTURES, FigureInputs, FigureUnavailable, Picture, write
from selfdistill.report.figures.figure import render_figures, unavailable_reasons
from selfdistill.report.html.page import page
from selfdistill.report.runs import runs_of
from selfdistill.report.tables.accuracy import header, rows
from selfdistill.report.tables.export import as_csv
from selfdistill.study import compare
from selfdistill.study.load import load_all
from selfdistill.train.config import RunConfig
from tests.helpers.written_studies import BASE, GAINS
from tests.helpers.written_studies import write as written

VOID = {"meta", "link", "br", "img", "input", "hr"}
EVIL = "<img src=x onerror=alert(1)>"


class PageParser(HTMLParser):
    """Every element of a page with its attributes; raises where an end is not its beginning's."""

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID and not self.get_starttag_text().endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("a study")


@pytest.fixture(scope="module")
def text(folder):
    return page([written(folder)], folder)


def test_the_page_is_valid_and_links_resolve(text, folder):
    seen = PageParser(text)
    ids = seen.all("id")
    assert len(ids) == len(set(ids))
    assert not any(" " in each for each in ids)
    for target in seen.all("href"):
        if target.startswith("#"):
            assert target[1:] in ids, target
        elif target != "data:,":
            assert (folder / target.replace("%20", " ")).exists(), target
    assert set(seen.all("aria-labelledby")) <= set(ids)


def test_no_network_access_and_no_foreign_script(text):
    seen = PageParser(text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)
    assert "@import" not in text
    assert "url(" not in text
    (policy,) = [each["content"] for tag, each in seen.elements if each.get("http-equiv")]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert EVIL not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    assert not [tag for tag, _ in seen.elements if tag == "img"]
    assert not [name for _, each in seen.elements for name in each if name.startswith("on")]


def test_the_page_has_the_printed_numbers(text, folder):
    (study,) = load_all(folder)
    plain = re.sub(r"\s+", " ", text)
    for cells in rows(study):
        for cell in cells[1:]:
            assert not cell or f">{escape(cell)}<" in plain or f"> {escape(cell)} <" in plain, cell
    for name in header(study):
        assert f">{name}</th>" in text


def test_every_cell_opens_to_its_runs(text, folder):
    seen = PageParser(text)
    links = [each for each in seen.all("href") if re.search(r"-seed\d$", each)]
    (study,) = load_all(folder)
    filled = [cell for cells in rows(study) for cell in cells[1:] if cell not in ("", "baseline")]
    assert len(links) == 5 * len(filled)


def test_the_same_study_gives_the_same_bytes(text, folder):
    assert page(load_all(folder), folder) == text


def test_runs_without_a_result_are_listed(tmp_path):
    study = written(tmp_path, without=[("csd()", 2), ("ce()", 4)])
    found = page([study], tmp_path)
    assert "2 of 40 runs have no result and are left out" in found
    assert "<code>csd()</code>, seed 2</li>" in found


@pytest.mark.parametrize("without", ["ce()", "all but ce()"])
def test_a_study_that_has_just_begun(tmp_path, without):
    left = [(name, seed) for name in GAINS for seed in range(5) if (name == "ce()") == (without == "ce()")]
    found = page([written(tmp_path, without=left)], tmp_path)
    PageParser(found)
    assert "There is nothing to compare yet: finish runs of the baseline" in found


def test_several_studies_on_one_page(tmp_path):
    written(tmp_path / "one")
    written(tmp_path / "two", {name: GAINS[name] for name in ("ce()", "csd()")}, seeds=2)
    nothing = [(name, seed) for name in GAINS for seed in range(5)]
    with pytest.raises(UserError, match="is finished"):
        written(tmp_path / "zero", without=nothing) and load_all(tmp_path / "zero")
    found = page(load_all(tmp_path), tmp_path)
    seen = PageParser(found)
    assert len(seen.all("id")) == len(set(seen.all("id")))
    assert "<h1>3 studies</h1>" in found
    assert found.count('class="sortable"') == 3
    assert "No run is finished yet." in found
    first = found[found.index("<table") : found.index("</table>")]
    assert first.count('<span class="badge">better</span>') == 2 + 1
    assert first.count('<span class="badge">worse</span>') == 2
    assert {each for each in seen.all("href") if each in ("#one", "#two", "#zero")} == {"#one", "#two", "#zero"}


def test_three_studies_rank_their_methods(tmp_path):
    for name in ("one", "two"):
        written(tmp_path / name)
    assert "Friedman" not in page(load_all(tmp_path), tmp_path)
    written(tmp_path / "three", {name: GAINS[name] for name in list(GAINS)[:3]}, seeds=2)
    found = page(load_all(tmp_path), tmp_path)
    PageParser(found)
    assert "Mean ranks of 3 methods over 3 studies" in found
    assert "critical difference" in found


def test_label_noise_distinguishes_studies(tmp_path):
    for share in (0, 0.4):
        written(tmp_path / f"digits-noise{share:g}", base=replace(BASE, label_noise=share), seeds=2)
    studies = load_all(tmp_path)
    found = re.sub(r"\s+", " ", page(studies, tmp_path))
    assert '<th scope="col" class="number" data-sorts>digits-noise0.4</th>' in found
    assert "<h2>8 ways to train resnet8 on digits with 40 % label noise</h2>" in found
    assert found.count('<span aria-hidden="true">·</span> 40 % label noise') == 1
    assert "1,294 training images, 40 % label noise," in found
    assert re.sub("</?span>", "", found).count("--label-noise 0.4 ") >= 1
    lines = list(csv.DictReader(io.StringIO(as_csv(studies))))
    assert [line["label_noise"] for line in lines] == ["0"] * 8 + ["0.4"] * 8


def nothing(evidence):
    raise FigureUnavailable("no run keeps its embeddings")


def broken(evidence):
    raise ZeroDivisionError("by zero")


def test_figures_and_the_reasons_why_they_are_unavailable(tmp_path):
    losses = PICTURES[0]
    asked = [losses, Picture("A <b>", "B.", nothing, draw_curves), Picture("C", "D.", broken, draw_curves)]
    found = page([written(tmp_path)], tmp_path, [*asked, replace(asked[1], title="E")])
    seen = PageParser(found)
    assert len(seen.all("id")) == len(set(seen.all("id")))
    assert found.count('aria-label="Losses by epoch"') == 2  # for a desk and for a phone
    assert "Not available: A &lt;b&gt;, E: no run keeps its embeddings</p>" in found
    assert "Not available: C: it failed, ZeroDivisionError: by zero</p>" in found


@pytest.mark.slow
def test_every_picture_of_a_real_study(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "snapshots", partial(plots.snapshots, epochs=(1,)))  # the page trains for longer
    base = RunConfig("ce()", limit=100, epochs=2, batch_size=32)
    study = compare(["csd()", "ce()"], base, [0], tmp_path)
    found = render_figures(FigureInputs(study, runs_of(study)), PICTURES, "place")
    offered = [each for each in PICTURES if "classify" in each.tasks]
    assert [(each.title, each.reason) for each in found] == [(each.title, "") for each in offered]
    assert list(FigureInputs(study, runs_of(study)).outputs) == ["ce()", "csd()"]
    for each in found:
        PageParser(each.wide)
        PageParser(each.narrow)
    PageParser(page([study], tmp_path, PICTURES))


def test_networks_in_the_pictures_can_be_chosen(tmp_path):
    study = written(tmp_path)
    shown = [list(FigureInputs(study, runs_of(study), chosen).first_runs) for chosen in ((), ("byot()", "csd()"))]
    assert shown == [list(GAINS), ["ce()", "csd()", "byot()"]]


def test_controls_are_shown_after_the_methods(tmp_path):
    study = written(tmp_path, dict.fromkeys(("byot()", "control(byot())", "csd()", "ce()"), GAINS["ce()"]))
    assert list(FigureInputs(study, runs_of(study)).first_runs) == ["ce()", "byot()", "csd()", "control(byot())"]


def test_a_page_can_travel_without_its_runs(tmp_path, capsys):
    written(tmp_path)
    links = []
    for word in ("--links", "--no-links"):
        assert command(capsys, tmp_path, "--no-pictures", word)[0] == 0
        links.append(
            [each for each in PageParser((tmp_path / "report.html").read_text()).all("href") if each.startswith("runs")]
        )
    assert len(links[0]) == 2 * 5 * len(GAINS)
    assert links[1] == []
    assert "the links work while" not in (tmp_path / "report.html").read_text()


def test_the_chosen_must_be_in_the_study(tmp_path, capsys):
    written(tmp_path, {name: GAINS[name] for name in ("ce()", "csd()")})
    assert command(capsys, tmp_path, "--show", "csd( )", "ce()")[0] == 0
    status, _, told = command(capsys, tmp_path, "--show", "csd()", "drg()")
    assert status == 2
    assert "no method drg() in the study; pass to --show one of ce(), csd()" in told


def test_class_centers_are_drawn_only_for_supported_methods(tmp_path):
    study = compare(["drg()"], RunConfig("ce()", limit=100, epochs=1, batch_size=32), [0], tmp_path)
    (found,) = render_figures(FigureInputs(study, runs_of(study)), PICTURES[-1:], "place")
    assert found.reason == "the study has none of cs_kd(), csd()"


def test_figures_need_the_weights(tmp_path):
    study = written(tmp_path)
    found = render_figures(FigureInputs(study, runs_of(study)), PICTURES[1:-1], "place")
    assert len(unavailable_reasons(found)) == 1
    assert "is not finished (no student.safetensors)" in found[0].reason


def test_a_damaged_log_is_named(tmp_path):
    study = written(tmp_path)
    log = next(tmp_path.rglob("csd/seed3/log.jsonl"))
    log.write_text("{")
    with pytest.raises(UserError, match=r"cannot read .*csd/seed3/log.jsonl: .*; remove the run's folder and re-run"):
        write([study], tmp_path)
    assert not (tmp_path / "report.html").exists()


def command(capsys, *words):
    status = 0
    try:
        main(["report", *map(str, words)])
    except SystemExit as stop:
        status = stop.code or 0
    return status, *capsys.readouterr()


def test_the_command(capsys, tmp_path):
    study = written(tmp_path / "study", without=[("csd()", 2)])
    out = tmp_path / "elsewhere"
    status, shown, error = command(capsys, study.folder, "--out", out, "--no-pictures")
    names = ["report.html", "table.csv", "table.md", "table.tex", "metrics.csv"]
    assert (status, error) == (0, "")
    assert shown.splitlines() == [
        *(str(out / name) for name in names),
        "1 run has no result yet; the report lists them",
    ]
    assert {each.name for each in out.iterdir()} == set(names)
    links = re.findall(r'href="([^"]*log\.jsonl)"', (out / "report.html").read_text())
    assert len(links) == 39
    assert all((out / each).is_file() for each in links)
    assert command(capsys, study.folder)[0] == 0
    assert (study.folder / "report.html").is_file()


def test_the_commands_mistakes(capsys, tmp_path):
    status, _, error = command(capsys, tmp_path)
    assert status == 2
    assert error == f"selfdistill: '{tmp_path}' holds no study (no study.json); name the folder that compare prints\n"
    blocked = Path(tmp_path / "file")
    blocked.write_text("")
    written(tmp_path / "study")
    status, _, error = command(capsys, tmp_path / "study", "--out", blocked / "x")
    assert status == 2
    assert error.startswith(f"selfdistill: cannot make the folder {blocked / 'x'}: ")


def test_without_validation_the_curves_show_training_accuracy(tmp_path):
    study = written(tmp_path)
    for result in tmp_path.rglob("result.json"):
        result.write_text(json.dumps(without_validation(json.loads(result.read_text()))))
    for log in tmp_path.rglob("log.jsonl"):
        kept = [without_validation(json.loads(line)) for line in log.read_text().splitlines()]
        log.write_text("".join(json.dumps(row) + "\n" for row in kept))
    found = page(load_all(study.folder), tmp_path)
    assert "Training top-1 by epoch" in found
    assert "validation %" not in found


def without_validation(facts):
    return {key: value for key, value in facts.items() if "validation" not in key}
