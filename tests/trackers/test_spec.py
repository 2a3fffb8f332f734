import pytest

from selfdistill.errors import UserError
from selfdistill.trackers.spec import TRACKERS, TrackerKind, TrackerSpec, parse_trackers


def test_a_specification_names_a_tracker_and_its_argument():
    assert parse_trackers(["csv", "mlflow:http://localhost:5000", "csv"]) == [
        TrackerSpec("csv", ""),
        TrackerSpec("mlflow", "http://localhost:5000"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wandbb:mine", "there is no tracker 'wandbb'; did you mean 'wandb'? there are tensorboard, wandb[:PROJECT]"),
        ("wandb:", "'wandb:' names nothing after the colon; write wandb[:PROJECT]"),
        ("csv:file", "csv takes nothing after a colon, but got 'file'; write csv"),
    ],
)
def test_a_wrong_specification_is_refused(text, words):
    with pytest.raises(UserError) as error:
        parse_trackers([text])
    assert words in str(error.value)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(TRACKERS, "csv", TrackerKind("csv", "csv", "a table", "no_such_package", "tables"))
    with pytest.raises(UserError, match=r"the tracker csv needs no_such_package: pip install 'selfdistill\[tables\]'"):
        parse_trackers(["csv"])
