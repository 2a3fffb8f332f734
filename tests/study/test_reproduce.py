"""Published tables: their values, a small reproduction, and verdicts by hand."""

import re

import pytest

from selfdistill.cli.app import main
from selfdistill.errors import UserError
from selfdistill.methods import parse_method
from selfdistill.models import create
from selfdistill.study.analysis.statistics import MeanStd
from selfdistill.study.papers import PAPERS, Published, PublishedValue
from selfdistill.study.papers.published import METRICS, Missing, column
from selfdistill.study.reproduce import Line, published, reproduce, scaled
from selfdistill.train.config import RunConfig

SMALL = Published(
    title="A table of two models",
    source="https://example.org",
    reported="the last epoch",
    recipe=RunConfig("ce()", epochs=10, batch_size=32, warmup=4),
    images=1_000,
    cells=(
        *column("resnet8", {"ce()": 10.0, "dsr()": 99.0}),
        PublishedValue("vgg8", "ce()", 0.5, "NLL", 0.1),
        PublishedValue("vgg8", "ce()", 90.0, "top-1 error"),
    ),
    missing=(Missing("resnet9 77.00", "there is none"),),
)


@pytest.mark.parametrize("name", PAPERS)
def test_every_table_can_be_reproduced(name):
    table = PAPERS[name]
    assert re.match(r"https://\S+, .", table.source)
    assert table.reported
    for model in {cell.model for cell in table.cells}:
        create(model, 100, size=32)
    for cell in table.cells:
        assert parse_method(cell.method).resolved
        assert cell.metric in METRICS
        assert 0 < cell.expected < 100
    assert len({(cell.model, cell.method, cell.metric) for cell in table.cells}) == len(table.cells)


def test_values_match_the_sources():
    """Spot checks against the sources, typed a second time."""
    found = {(name, each.model, each.method, each.metric): each for name in PAPERS for each in PAPERS[name].cells}
    assert found["crd", "resnet8x4", "crd(teacher='resnet32x4')", "top-1"].expected == 75.51
    assert found["crd", "vgg8", "kd(teacher='vgg13')", "top-1"].expected == 72.98
    assert found["crd", "resnet20", "sp(teacher='resnet110')", "top-1"].expected == 70.04
    assert found["crd", "wrn-40-2", "ce()", "top-1"].expected == 75.61
    assert found["ps-kd", "preact_resnet18", "ps_kd()", "ECE"].expected == 1.77
    assert found["ps-kd", "preact_resnet18", "cs_kd()", "top-5 error"].expected == 5.70
    assert found["self-kd-lib", "preact_resnet18", "mixskd()", "top-1"].expected == 80.32
    two = found["cs-kd", "preact_resnet18", "cs_kd()", "top-1 error"]
    assert (two.expected, two.std) == (21.99, 0.13)


@pytest.mark.parametrize(
    ("values", "scale", "verdict"),
    [  # three seeds of deviation 1 at 70: 4.303 * sqrt(1 + 1/3) = 4.97 either way
        ([69.0, 70.0, 71.0], False, "agrees"),
        ([74.9, 73.9, 75.9], False, "agrees"),
        ([74.1, 75.1, 76.1], False, "higher"),
        ([65.9, 64.9, 63.9], False, "lower"),
        ([70.0], False, "one seed"),
        ([70.0, 71.0], True, "scaled"),
        ([], False, "failed"),
    ],
)
def test_verdicts_by_hand(values, scale, verdict):
    assert (
        Line(PublishedValue("resnet8", "ce()", 70.0), MeanStd.of(values) if values else None, scale).verdict == verdict
    )


def test_scaling():
    assert scaled(SMALL, 1.0) == SMALL.recipe
    small = scaled(SMALL, 0.25)
    assert (small.epochs, small.warmup, small.limit) == (2, 1, 250)
    assert scaled(SMALL, 0.01).epochs == 1
    for scale in (0, -1, 2):
        with pytest.raises(UserError, match="scale must be above 0 and at most 1, but is"):
            scaled(SMALL, scale)


def test_a_table_of_two_models(tmp_path):
    lines, studies = reproduce(SMALL, tmp_path, scale=0.1, seeds=range(2), data="digits")
    assert [(line.cell.model, line.cell.method, line.cell.metric) for line in lines] == [
        ("resnet8", "ce()", "top-1"),
        ("resnet8", "dsr()", "top-1"),
        ("vgg8", "ce()", "NLL"),
        ("vgg8", "ce()", "top-1 error"),
    ]
    assert [study.folder.name for study in studies] == ["digits-resnet8", "digits-vgg8"]
    vgg = studies[1].finished("ce()")
    assert lines[2].ours == MeanStd.of([each["nll"] for each in vgg])
    assert lines[3].ours == MeanStd.of([100 - each["top1"] for each in vgg])
    assert len(list(tmp_path.rglob("result.json"))) == 6  # one run serves all metrics


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(PAPERS, "small", SMALL)
    words = ["reproduce", "small", "--scale", "0.1", "--seeds", "1", "--models", "resnet8", "--out", str(tmp_path)]
    with pytest.raises(SystemExit, match="^0$"):
        main(words)
    shown = capsys.readouterr().out
    assert re.search(r"^model +method +metric +expected +ours +verdict$", shown, re.M)
    assert re.search(r"^resnet8 +dsr\(\) +top-1 +99\.00 +\d+\.\d\d +scaled$", shown, re.M)
    assert "100 of 1,000 images. Scaled: not the paper's numbers." in shown
    assert "A table of two models: https://example.org." in shown
    assert "missing: resnet9 77.00: there is none." in shown


def test_the_list_and_mistakes(capsys):
    with pytest.raises(SystemExit, match="^0$"):
        main(["reproduce"])
    assert re.search(r"^crd +81 cells  Distillation from a teacher", capsys.readouterr().out, re.M)
    with pytest.raises(UserError, match="there is no table 'cdr' to reproduce; choose self-kd-lib, cs-kd"):
        published("cdr")
    with pytest.raises(UserError, match="the table has no model 'resnet9'; it has resnet8, vgg8"):
        reproduce(SMALL, None, models=["resnet9"])
