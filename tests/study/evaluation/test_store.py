"""The file of a run's metrics, and its values by key."""

import json
from dataclasses import replace

import pytest

from selfdistill.errors import UserError
from selfdistill.study.evaluation.metric_specs import with_means
from selfdistill.study.evaluation.store import MetricsFile, add, flat, path_of, read

EMPTY = MetricsFile("digits", 359)


def test_groups_are_added_with_their_number_of_images(tmp_path):
    path = path_of(tmp_path)
    assert read(path) is None
    add(path, EMPTY, "accuracy", {"top1": 90.0}, 359)
    add(path, EMPTY, "corruption", {"mean": 50.0}, 100)
    content = json.loads(path.read_text())
    assert (content["data"], content["images"], content["limited"]) == ("digits", 359, {"corruption": 100})
    assert content["metrics"] == {"accuracy": {"top1": 90.0}, "corruption": {"mean": 50.0}}
    add(path, EMPTY, "corruption", {"mean": 51.0}, 359)
    assert "limited" not in json.loads(path.read_text())
    assert [each.name for each in tmp_path.iterdir()] == ["metrics.json"]


def test_attacks_keep_other_epsilons_of_the_same_images(tmp_path):
    path = path_of(tmp_path)
    add(path, EMPTY, "pgd", {"2/255": 1.0}, 359)
    add(path, EMPTY, "pgd", {"8/255": 0.5}, 359)
    assert read(path).groups["pgd"] == {"2/255": 1.0, "8/255": 0.5}
    add(path, EMPTY, "pgd", {"1/255": 2.0}, 100)
    assert read(path).groups["pgd"] == {"1/255": 2.0}


def test_metrics_of_another_test_set_are_replaced(tmp_path):
    path = path_of(tmp_path)
    add(path, EMPTY, "accuracy", {"top1": 90.0}, 359)
    add(path, MetricsFile("digits", 400), "classes", [], 400)
    assert (read(path).images, list(read(path).groups)) == (400, ["classes"])


def test_metrics_of_changed_files_are_replaced(tmp_path):
    path, before, after = path_of(tmp_path), replace(EMPTY, digest="a"), replace(EMPTY, digest="b")
    add(path, before, "accuracy", {"top1": 90.0}, 359)
    add(path, before, "knn", {"knn": 80.0}, 359)
    assert (read(path).digest, len(read(path).groups)) == ("a", 2)
    add(path, after, "accuracy", {"top1": 10.0}, 359)
    assert (read(path).digest, read(path).groups) == ("b", {"accuracy": {"top1": 10.0}})


def test_a_file_without_limits_is_read(tmp_path):
    path_of(tmp_path).write_text(json.dumps({"data": "digits", "images": 359, "metrics": {"knn": {"knn": 1.0}}}))
    assert read(path_of(tmp_path)).images_of("knn") == 359


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("{", "cannot read .*metrics.json"),
        ("{}", "metrics.json: data must be text, but is missing; remove the file and evaluate again"),
        (
            '{"data": "x", "images": "many", "metrics": {}}',
            "images must be a whole number from 1 to 1,000,000,000, but is 'many'",
        ),
        ("[]", r"an object is wanted, but the file holds \[\]"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, answer):
    path_of(tmp_path).write_text(text)
    with pytest.raises(UserError, match=answer):
        read(path_of(tmp_path))


def test_values_by_key():
    groups = {
        "pgd": {"2/255": 1.0},
        "spread": {"ratio": None, "intra": 2.0},
        "corruption": {"fog": [5.0, 4.0], "mean": 4.5},
        "outside": {"data": "svhn", "images": 9, "energy": {"auroc": 80.0}},
        "classes": [{"class": "a.b", "images": 3, "top1": 50.0, "precision": None, "taken_for": "c"}],
    }
    assert flat(groups) == {
        "pgd.2/255": 1.0,
        "spread.intra": 2.0,
        "corruption.fog.1": 5.0,
        "corruption.fog.2": 4.0,
        "corruption.mean": 4.5,
        "outside.images": 9,
        "outside.energy.auroc": 80.0,
        "classes.a.b.images": 3,
        "classes.a.b.top1": 50.0,
    }


def test_means_by_kind_and_severity_agree_with_the_mean():
    from selfdistill.metrics.corruption import CORRUPTIONS, EXTRA

    table = {kind: [100 - 7.0 * k - n * k for k in range(5)] for n, kind in enumerate(CORRUPTIONS)}
    found = with_means(flat({"corruption": table}))
    assert found["kind.fog"] == sum(table["fog"]) / 5
    counted = [row for kind, row in table.items() if kind not in EXTRA]
    assert len(counted) == 14
    assert found["severity.3"] == sum(row[2] for row in counted) / 14
    mean = sum(value for row in counted for value in row) / 70
    assert sum(found[f"severity.{k}"] for k in range(1, 6)) / 5 == pytest.approx(mean)
    del table["fog"]
    assert not any(key.startswith("kind") for key in with_means(flat({"corruption": table})))
