"""Runs whose methods keep tables of images in other formats: mapped ones bit for bit, all of them resumed."""

from dataclasses import replace

import pytest

from selfdistill.errors import UserError
from selfdistill.inspect.doctor import check
from selfdistill.train.config import RunConfig
from selfdistill.train.preflight import _mapped_bytes, step_bytes
from selfdistill.train.run import load_data, run
from tests.helpers.small_runs import Interrupted, StopAfter, log, small, trainer, weights

TABLES = "ps_kd() + elr(weight=1.0)"


@pytest.mark.parametrize("method", [TABLES, "dtskd()"])
def test_a_mapped_table_gives_the_same_weights(tmp_path, method):
    run(small(method, accumulate=2), tmp_path / "full")
    run(small(method, accumulate=2, memory="mapped"), tmp_path / "mapped")
    assert weights(tmp_path / "mapped") == weights(tmp_path / "full")
    assert log(tmp_path / "mapped") == log(tmp_path / "full")


@pytest.mark.parametrize("memory", ["mapped", "half", "half,top:3,mapped"])
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, memory):
    config = small(TABLES, epochs=3, memory=memory)
    run(config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(config, tmp_path / "parts", listener=StopAfter(2))
    run(config, tmp_path / "parts")
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    assert log(tmp_path / "parts") == log(tmp_path / "whole")


def test_half_precision_and_entries_change_the_second_epoch_alone(tmp_path):
    losses = {}
    for memory in ("full", "half", "top:3"):
        run(small(TABLES.partition(" +")[0], memory=memory), tmp_path / memory)
        losses[memory] = [row["losses"] for row in log(tmp_path / memory)]
    for memory in ("half", "top:3"):
        assert losses[memory][0] == losses["full"][0]
        assert losses[memory][1] != losses["full"][1]
        assert losses[memory][1] == {name: pytest.approx(each, rel=0.05) for name, each in losses["full"][1].items()}


def test_tables_on_the_disk_are_not_counted_as_memory(tmp_path):
    config = small("ps_kd()")
    full, mapped = (
        trainer(replace(config, memory=memory), load_data(config), tmp_path) for memory in ("full", "mapped")
    )
    table = 200 * 10 * 4
    assert (_mapped_bytes(full), _mapped_bytes(mapped)) == (0, table)
    assert step_bytes(full, int) - step_bytes(mapped, int) == table


def test_doctor_tells_tables_and_refuses_formats(tmp_path):
    found = check(small("ps_kd()", memory="half,mapped"), tmp_path)
    assert [each.words for each in found if each.check == "remembers"] == [
        "task: [200, 10], on the disk, shared by all ranks"
    ]
    assert all(each.ok for each in found)
    last = check(small("ps_kd()", memory="top:10"), tmp_path)[-1]
    assert (last.check, last.ok) == ("method", False)
    assert "keeps as many entries as the 10 classes have" in last.words


def test_a_wrong_format_is_refused_by_the_configuration():
    with pytest.raises(UserError, match=r"cannot read 'tiny' of --memory tiny; write full, half, mapped or top:K"):
        RunConfig("ce()", memory="tiny")
