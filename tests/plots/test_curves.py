"""Learning curves against means and deviations by hand."""

import numpy as np
import pytest

from selfdistill.errors import UserError
from selfdistill.plots.curves import curves, draw_curves
from selfdistill.plots.svg import svg


def row(epoch, task, top1, **losses):
    return {"epoch": epoch, "losses": {"task": task, **losses}, "train_top1": top1, "lr": 0.1}


LOGS = {
    "ce()": [[row(1, 2.0, 40.0), row(2, 1.0, 60.0), row(3, 0.5, 70.0)], [row(1, 4.0, 50.0), row(2, 2.0, 80.0)]],
    "dsr()": [[row(1, 3.0, 30.0, shape=0.0), row(2, 1.5, 50.0, shape=0.25)]],
}


def test_range_by_hand():
    found = curves(LOGS)
    assert list(found) == ["top-1 in training, %", "loss of task", "loss of shape"]
    assert list(found["loss of shape"]) == ["dsr()"]
    task = found["loss of task"]["ce()"]
    assert task.epochs.tolist() == [1, 2]  # the second seed has not reached the third
    assert task.mean.tolist() == [3.0, 1.5]
    assert task.low.tolist() == [2.0, 1.0]
    assert task.high.tolist() == [4.0, 2.0]
    assert task.seeds == 2
    assert found["top-1 in training, %"]["ce()"].mean.tolist() == [45.0, 70.0]


def test_deviation_by_hand():
    task = curves(LOGS, "std")["loss of task"]["ce()"]
    np.testing.assert_allclose(task.high - task.mean, [2**0.5, 0.5**0.5])
    np.testing.assert_allclose(task.mean - task.low, [2**0.5, 0.5**0.5])


def test_one_seed_has_no_deviation():
    shape = curves(LOGS, "std")["loss of shape"]["dsr()"]
    assert shape.low.tolist() == shape.high.tolist() == [0.0, 0.25]


def test_validation_where_there_is_one():
    rows = [row(1, 1.0, 20.0) | {"validation_top1": 10.0}]
    assert list(curves({"ce()": [rows]}))[1] == "top-1 in validation, %"


@pytest.mark.parametrize("logs", [{}, {"ce()": [[]]}])
def test_nothing_to_draw(logs):
    with pytest.raises(UserError, match="hold no epoch to draw; wait until each run has finished one"):
        curves(logs)


def test_the_picture_shows_what_the_numbers_say():
    figure = draw_curves(curves(LOGS))
    task = figure.axes[1]
    assert task.get_title(loc="left") == "loss of task"
    assert task.get_lines()[0].get_ydata().tolist() == [3.0, 1.5]
    assert len(task.collections) == 1  # one seed has no band
    assert task.collections[0].get_datalim(task.transData).y1 == 4.0
    assert [each.get_text() for each in figure.legends[0].get_texts()] == ["ce()", "dsr()"]


def test_one_epoch_is_a_point():
    figure = draw_curves(curves({"ce()": [LOGS["ce()"][0][:1]]}))
    assert figure.axes[0].get_lines()[0].get_marker() == "o"
    assert "<use" in svg(figure, "a")
