import json

import pytest

from selfdistill.trackers import tracker
from selfdistill.trackers.run_records import RunRecords
from selfdistill.trackers.spec import TrackerSpec
from selfdistill.trackers.tracker import OpenRun, Sent, read_sent, write_sent

SPEC = TrackerSpec("wandb", "mine")


def test_what_was_sent_is_remembered(tmp_path):
    write_sent(tmp_path, SPEC, Sent("abc", 3))
    assert read_sent(tmp_path, SPEC) == Sent("abc", 3)
    assert read_sent(tmp_path, TrackerSpec("wandb", "other")).epochs == 0


@pytest.mark.parametrize("content", ["", "[]", json.dumps({"id": 1, "epochs": 2, "finished": False})])
def test_a_broken_memory_is_begun_anew(content, tmp_path):
    write_sent(tmp_path, SPEC, Sent("abc", 3))
    next((tmp_path / "trackers").iterdir()).write_text(content)
    assert read_sent(tmp_path, SPEC).epochs == 0


class Flaky:
    """A tracker that fails at its first call, and remembers what it received."""

    def __init__(self):
        self.received, self.calls = [], 0

    def log(self, epoch, values):
        self.calls += 1
        if self.calls == 2:
            raise OSError("no connection")
        self.received.append(epoch)

    def finish(self, values, page):
        self.received.append("final")

    def close(self):
        self.received.append("closed")


def test_what_failed_is_sent_the_next_time(finished, tmp_path, monkeypatch):
    flaky = Flaky()
    monkeypatch.setattr(tracker, "open_run", lambda spec, records, run_id: (flaky, run_id))
    run = OpenRun(TrackerSpec("csv", str(tmp_path)), RunRecords(finished, "study"))
    with pytest.raises(OSError, match="no connection"):
        run.send()
    assert run.send() == 1
    assert flaky.received == [1, 2, "final"]
