"""Loading of studies that compare wrote."""

import json

import pytest

from selfdistill.errors import UserError
from selfdistill.report.tables.accuracy import markdown
from selfdistill.study import compare
from selfdistill.study.compare import run_folder
from selfdistill.study.load import load, load_all, missing
from selfdistill.train.config import RunConfig

BASE = RunConfig("ce()", limit=100, epochs=1, batch_size=32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return compare(["ce()", "drg(alpha=0.1)"], BASE, range(2), tmp_path_factory.mktemp("study"))


def test_a_loaded_study_equals_the_written_one(made):
    found = load(str(made.folder))
    assert (found.base, found.methods, found.seeds, found.results) == (
        made.base,
        made.methods,
        made.seeds,
        made.results,
    )
    assert markdown(found) == markdown(made)
    assert missing(found) == []


def test_runs_without_a_result_are_listed(made, tmp_path):
    copy_facts(made.folder, tmp_path, seeds=[0, 1, 2])
    place = run_folder(tmp_path, "ce()", 1)
    place.mkdir(parents=True)
    for name in ("result.json", "run.json"):
        (place / name).write_bytes((run_folder(made.folder, "ce()", 1) / name).read_bytes())
    found = load(tmp_path)
    assert found.results == {"ce()": {1: made.results["ce()"][1]}}
    assert missing(found) == [("ce()", 0), ("ce()", 2), *(("drg(alpha=0.1)", seed) for seed in range(3))]


def test_all_studies_below_a_folder(made, tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).symlink_to(made.folder, target_is_directory=True)
    (tmp_path / "teachers").mkdir()
    assert [each.folder.name for each in load_all(tmp_path)] == ["a", "b"]
    assert [each.folder for each in load_all(made.folder)] == [made.folder]


def test_missing_studies_and_runs_are_named(made, tmp_path):
    with pytest.raises(UserError, match=r"holds no study \(no study.json\); name the folder that compare prints"):
        load_all(tmp_path)
    copy_facts(made.folder, tmp_path)
    with pytest.raises(UserError, match=r"no run of the study in '.*' is finished; re-run its compare command"):
        load_all(tmp_path)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("{", "cannot read .*study.json"),
        ("{}", "study.json: methods must be a list of one method or more, but is missing; re-run the compare command"),
        ('{"methods": [], "seeds": []}', "study.json: methods must be a list of one method or more, but is \\[\\]"),
        (
            '{"base": {}, "methods": ["ce()"], "seeds": [0]}',
            "the configuration in .*study.json: method must be text, but is missing",
        ),
        ('{"base": 3, "methods": ["ce()"], "seeds": [0]}', "study.json: base must be an object, but is 3"),
    ],
)
def test_a_damaged_study(tmp_path, text, answer):
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(UserError, match=answer):
        load(tmp_path)


def copy_facts(source, target, **changes):
    facts = json.loads((source / "study.json").read_text())
    (target / "study.json").write_text(json.dumps(facts | changes))
