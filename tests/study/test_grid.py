"""Grids: combinations, folders, and grid files."""

import json
from pathlib import Path

import pytest

from selfdistill.cli.app import main
from selfdistill.errors import UserError
from selfdistill.study import Grid, RunConfig, compare_all
from selfdistill.study.grid_file import read_grid

ROOT = Path(__file__).parents[2]
BASE = RunConfig("ce()", limit=60, epochs=1, batch_size=30)


def test_cross_product(tmp_path):
    grid = Grid(["ce()", "dsr()"], ["resnet8", "vgg8"], ["digits", "fake:classes=4,size=8"], range(2), BASE)
    studies = compare_all(grid, tmp_path)
    names = ["digits-resnet8", "digits-vgg8", "fake-classes-4-size-8-resnet8", "fake-classes-4-size-8-vgg8"]
    assert [each.folder.name for each in studies] == names
    assert all(len(each.results["dsr()"]) == 2 and not each.errors for each in studies)
    assert len(list(tmp_path.rglob("result.json"))) == 16
    facts = json.loads((tmp_path / "digits-vgg8" / "study.json").read_text())
    assert (facts["base"]["data"], facts["base"]["model"]) == ("digits", "vgg8")


def test_a_single_combination_uses_the_folder_itself(tmp_path):
    (study,) = compare_all(Grid(["ce()"], ["resnet8"], seeds=[3], recipe=BASE), tmp_path)
    assert study.folder == tmp_path
    assert (tmp_path / "runs" / "ce" / "seed3" / "result.json").is_file()


def test_the_default_folder_names_all_dimensions():
    grid = Grid(["ce()"], ["resnet8", "timm/convnext_atto"], ["digits", "fake"], recipe=BASE)
    assert grid.folder == Path("runs/digits-fake-60-resnet8-convnext_atto-1epochs")


def test_label_noise_is_a_dimension(tmp_path):
    grid = Grid(["ce()"], ["resnet8", "vgg8"], recipe=BASE, label_noise=[0, 0.2])
    pairs = [(base.model, base.label_noise, place.name) for base, place in grid.pairs(tmp_path)]
    assert pairs == [
        ("resnet8", 0, "digits-resnet8-noise0"),
        ("resnet8", 0.2, "digits-resnet8-noise0.2"),
        ("vgg8", 0, "digits-vgg8-noise0"),
        ("vgg8", 0.2, "digits-vgg8-noise0.2"),
    ]
    assert grid.folder == Path("runs/digits-60-noise0-noise0.2-resnet8-vgg8-1epochs")
    ((base, place),) = Grid(["ce()"], recipe=BASE, label_noise=[0.4]).pairs(tmp_path)
    assert (base.label_noise, place) == (0.4, tmp_path)
    assert Grid(["ce()"], recipe=base).folder == Path("runs/digits-60-noise0.4-resnet8-1epochs")


def test_a_mistake_in_one_combination_is_found_before_training(tmp_path):
    with pytest.raises(UserError, match="images of 8x8 pixels are too small for mobilenetv2"):
        compare_all(Grid(["ce()"], ["resnet8", "mobilenetv2"], recipe=BASE), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_controls_are_rows():
    assert Grid(["ce()", "byot()", "ce()"], controls=True).rows == ("ce()", "byot()", "control(byot())")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ({"methods": "ce()"}, "methods of a grid must be a list, but found the text 'ce\\(\\)'; write a list"),
        ({"methods": []}, "a grid needs at least one method and one seed"),
        ({"methods": ["ce()"], "seeds": []}, "a grid needs at least one method and one seed"),
        ({"methods": ["ce()"], "models": "resnet8"}, "models of a grid must be a list"),
    ],
)
def test_empty_grids_are_refused(words, answer):
    with pytest.raises(UserError, match=answer):
        Grid(**words)


@pytest.mark.parametrize("file", sorted((ROOT / "studies").glob("*.py")), ids=lambda file: file.stem)
def test_the_included_studies(file):
    grid = read_grid(file)
    assert "ce()" in grid.rows
    assert f"selfdistill study studies/{file.name}" in file.read_text()


def test_the_study_command(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(
        "from selfdistill.study import Grid, RunConfig\n"
        "from beside import TEXTS\n"
        "STUDY = Grid(TEXTS, ['resnet8', 'vgg8'], seeds=[0], recipe=RunConfig('ce()', limit=60, epochs=1))\n"
    )
    (tmp_path / "beside.py").write_text("TEXTS = ['ce()', 'dsr()']\n")
    with pytest.raises(SystemExit, match="^0$"):
        main(["study", str(file), "--out", str(tmp_path / "out")])
    shown = capsys.readouterr().out
    assert shown.count("\nce() ") == 2
    assert "digits, 60 training images, vgg8, 1 epochs" in shown
    assert (tmp_path / "out" / "digits-vgg8" / "table.md").is_file()


def test_the_study_command_writes_a_report(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("selfdistill.report.PICTURES", [])
    file = tmp_path / "mine.py"
    recipe = "RunConfig('ce()', limit=60, epochs=1), metrics=['calibration']"
    file.write_text(
        "from selfdistill.study import Grid, RunConfig\n"
        f"STUDY = Grid(['ce()', 'dsr()'], label_noise=[0, 0.4], seeds=[0, 1], recipe={recipe})\n"
    )
    with pytest.raises(SystemExit, match="^0$"):
        main(["study", str(file), "--out", str(tmp_path / "out"), "--report"])
    page = (tmp_path / "out" / "report.html").read_text()
    assert str(tmp_path / "out" / "report.html") in capsys.readouterr().out
    assert "resnet8 on digits with 40 % label noise" in page
    assert "adaptive ECE" in page


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("x = 1\n", "has no STUDY that is a Grid (found NoneType); write STUDY = Grid("),
        ("\nSTUDY = [1][3]\n", "line 2 of"),
        ("\nSTUDY = [1][3]\n", "raised IndexError: list index out of range; correct the file"),
        ("STUDY = (\n", "raised SyntaxError: '(' was never closed"),
        ("from selfdistill.study import Grid\nSTUDY = Grid('ce()')\n", "methods of a grid must be a list"),
    ],
)
def test_files_without_a_grid_are_refused(tmp_path, capsys, text, answer):
    (tmp_path / "wrong.py").write_text(text)
    with pytest.raises(SystemExit, match="^2$"):
        main(["study", str(tmp_path / "wrong.py")])
    shown = capsys.readouterr().err
    assert answer in shown
    assert "Traceback" not in shown
    with pytest.raises(UserError, match="there is no file"):
        read_grid(tmp_path / "nowhere.py")


def test_several_models_on_the_command_line(tmp_path, capsys):
    words = ["--methods", "ce()", "dsr()", "--models", "resnet8", "vgg8", "--seeds", "1", "--limit", "60"]
    with pytest.raises(SystemExit, match="^0$"):
        main(["compare", *words, "--epochs", "1", "--workers", "1", "--out", str(tmp_path)])
    assert capsys.readouterr().out.count("\ndsr() ") == 2
