import torch

from selfdistill.train.monitor.step_timer import Stopwatch


def test_every_fourth_step_is_timed_and_never_the_first_three(monkeypatch):
    ticks = iter([1.0, 1.5, 2.0, 2.1, 3.0, 3.2])
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    watch = Stopwatch(torch.device("cpu"))
    assert watch.median_ms() is None
    for step in range(12):
        with watch.step(step):
            pass
    assert [round(each, 3) for each in watch.seconds] == [0.5, 0.1, 0.2]
    assert round(watch.median_ms() or 0, 3) == 200
