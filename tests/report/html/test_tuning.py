"""The page of a tuning, from trials and results chosen by the test."""

import pytest

from selfdistill.report import write_tuning
from selfdistill.report.html.tuning import slices, tuning_page
from selfdistill.report.tables.tuning import tuning_header, tuning_rows
from selfdistill.study import Study, Tuning
from selfdistill.study.tuning.outcome import recipe_of, tuned_row
from selfdistill.study.tuning.search import Search
from selfdistill.study.tuning.space import space_of
from selfdistill.study.tuning.trial import Trial
from selfdistill.train.config import RunConfig

BASE = RunConfig("ce()", epochs=4, validation=0.2)


def search(text, *best):
    space = space_of(text, BASE)
    values = [{**space.defaults, "lr": lr} for lr in (0.1, 0.02, 0.05, 0.5, 0.9)]
    scores = [{1: 40.0, 2: 50.0, 4: 60.0}, {1: 30.0}, {1: 45.0, 2: 55.0, 4: best[0]}, {1: 20.0}, {1: 35.0, 2: 40.0}]
    return Search(space, [Trial(n, v, s, seconds=6.0) for n, (v, s) in enumerate(zip(values, scores, strict=True))], 4)


@pytest.fixture
def tuning(tmp_path):
    searches = [search("ce()", 60.0), search("drg(alpha=0.1..1)", 70.0)]
    row = tuned_row(searches[1])
    scores = {"ce()": (80.0, 82.0, 84.0), "drg()": (81.0, 82.0, 86.0), row: (84.0, 85.0, 88.0)}
    results = {each: {seed: {"top1": value} for seed, value in enumerate(own, 1)} for each, own in scores.items()}
    study = Study(
        BASE, tuple(scores), (1, 2, 3), tmp_path, results, recipes={row: recipe_of(searches[1], BASE)}, test_images=100
    )
    return Tuning(searches, study)


def test_the_table_has_default_beside_tuned(tuning):
    ce, drg = (dict(enumerate(row)) for row in tuning_rows(tuning))
    assert [ce[0], ce[1], ce[2], ce[5]] == ["ce()", "60.00", "60.00", "defaults were best"]
    assert drg[0] == "drg() at lr 0.05, weight decay 0.0005"
    assert [drg[1], drg[2], drg[3], drg[4]] == ["60.00", "70.00", "83.00 ± 2.65", "85.67 ± 2.08"]
    assert drg[5] == "+2.67 [+0.18, +5.15]"  # of 3, 3, 2: deviation of at least one image, t of 2 degrees 4.303
    assert [drg[8].split()[0], len(drg)] == ["+3.67", len(tuning_header(tuning))]


def test_the_cost_counts_every_epoch(tuning):
    assert tuning.cost == "10 trials, 24 epochs (as many as 6.0 runs), 1.0 minutes of training"


def test_the_options_are_ready_to_paste(tuning):
    assert tuning.command(tuning.searches[1]) == "--methods 'drg()' --lr 0.05 --weight-decay 0.0005"


def test_a_slice_marks_the_best_the_whole_and_the_stopped(tuning):
    (found,) = [each for each in slices(tuning.searches[1]) if each.name == "lr"]
    assert [each.kind for each in found.points] == ["whole", "stopped", "best", "stopped", "stopped"]
    assert found.log
    assert [text for _, text in found.ticks] == ["0.01", "0.1", "1"]
    assert found.points[0].x == found.ticks[1][0]  # the default is the middle of its range


def test_the_only_dimension_that_varies_comes_first(tuning):
    assert slices(tuning.searches[1])[0].name == "lr"


def test_without_scores_there_is_no_slice():
    space = space_of("ce()", BASE)
    assert slices(Search(space, [Trial(0, space.defaults, error="it is not finite")], 4)) == []


def test_the_page_has_the_table_the_slices_and_no_script(tuning):
    page = tuning_page(tuning)
    assert page == tuning_page(tuning)
    assert page.count('<svg class="panel"') == 2 + 4
    assert "defaults were best" in page
    assert "<script" not in page


def test_page_and_table_are_written(tuning, tmp_path):
    assert [path.name for path in write_tuning(tuning, tmp_path / "out")] == ["tune.html", "tune.md"]
    assert "--lr 0.05" in (tmp_path / "out" / "tune.md").read_text()
