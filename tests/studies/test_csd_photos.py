"""CSD's protocol on photographs: its values, and a run of toy size on files made here."""

from dataclasses import replace
from pathlib import Path

from selfdistill.study import compare_all
from selfdistill.study.grid_file import read_grid
from tests.helpers.image_files import class_folders

FILE = Path(__file__).parents[2] / "studies/csd_photos.py"


def test_the_full_protocol(monkeypatch):
    monkeypatch.delenv("SMALL", raising=False)
    recipe = read_grid(FILE).recipe
    assert (recipe.size, recipe.epochs, recipe.batch_size, recipe.limit) == (224, 200, 32, None)
    assert (recipe.optimizer, recipe.lr, recipe.momentum, recipe.weight_decay) == ("sgd", 0.1, 0.9, 1e-4)
    assert (recipe.schedule, recipe.milestones, recipe.pretrained) == ("step", (0.5, 0.75), False)
    assert recipe.augment_recipe.crop_scale == (0.08, 1.0)


def test_a_reduced_study_of_files(tmp_path, monkeypatch):
    monkeypatch.setenv("SMALL", "1")
    monkeypatch.chdir(tmp_path)
    class_folders(tmp_path / "data/cub", {"train/wren": 4, "train/crow": 4, "test/wren": 2, "test/crow": 2}, size=80)
    grid = read_grid(FILE)
    assert (grid.recipe.size, grid.recipe.augment_recipe.crop_scale) == (64, (0.08, 1.0))
    toy = replace(
        grid,
        methods=[grid.methods[0], grid.methods[-1]],
        data=grid.data[:1],
        seeds=grid.seeds[:1],
        recipe=replace(grid.recipe, epochs=1, batch_size=4),
    )
    (study,) = compare_all(toy, tmp_path / "out")
    assert study.errors == {}
    assert list(study.results) == ["ce()", "csd(weight=3.0)"]
    assert all(len(results) == 1 for results in study.results.values())
