"""Progress of a study: a live table on a terminal, lines of text elsewhere."""

import io
from functools import partial
from pathlib import Path

from rich.console import Console

from selfdistill.study.engine.engine import row_statuses
from selfdistill.study.engine.job import Job, Outcome
from selfdistill.study.engine.live_table import LiveTable, study_progress_for
from selfdistill.study.engine.progress import StudyLines
from selfdistill.study.study import Study
from selfdistill.train.config import RunConfig

BASE = RunConfig("ce()", epochs=4)
ROW = {"epoch": 2, "losses": {"task": 0.5}, "train_top1": 80.0, "images_per_second": 1000.0}


def console(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, color_system=None)


def study_and_job():
    study = Study(BASE, ("ce()", "dsr()"), (0, 1), Path("x"))
    job = Job("dsr()", study.config("dsr()", 0), Path("x/runs/dsr/seed0"), Path("x/teachers"))
    study.results = {"ce()": {0: {"top1": 90.0}, 1: {"top1": 92.0}}}
    return study, job


def rendered(table):
    shown = console(False)
    shown.print(table.render())
    return shown.file.getvalue()


def test_the_table_follows_the_study():
    study, job = study_and_job()
    table = LiveTable(console(True))
    table.on_study_start(partial(row_statuses, [study]), 2, 4)
    table.for_job(str(job)).on_run_start("dsr(), resnet8, seed 0", 4, 0)
    assert "ce()    91.00 ± 1.41  2 of 2" in rendered(table)
    assert "dsr()                 0 of 2" in rendered(table)
    table.for_job(str(job)).on_epoch(ROW)
    assert "dsr(), resnet8, seed 0  epoch 2  task 0.500" in rendered(table)
    study.results["dsr()"] = {0: {"top1": 93.5}}
    table.on_job_end(job.status(Outcome({"top1": 93.5})))
    shown = rendered(table)
    assert "dsr()   93.50         1 of 2" in shown
    assert "epoch 2" not in shown
    assert "3 of 4 runs" in shown
    study.errors["dsr()"] = "on purpose"
    assert "1 of 2  failed" in rendered(table)
    table.on_study_end()


def test_notes_of_a_job_are_shown():
    study, job = study_and_job()
    table = LiveTable(console(True))
    table.on_study_start(partial(row_statuses, [study]), 0, 1)
    table.for_job(str(job)).on_note("too early")
    table.for_job(str(job)).on_run_start("metrics of dsr(), resnet8, seed 0", 0, 0)
    table.for_job(str(job)).on_note("corruption")
    assert "metrics of dsr(), resnet8, seed 0  corruption" in rendered(table)
    table.on_study_end()


def test_lines_without_a_terminal():
    _, job = study_and_job()
    shown = console(False)
    lines = study_progress_for(shown, serial=False)
    assert isinstance(lines, StudyLines)
    lines.on_study_start(list, 2, 4)
    lines.for_job(str(job)).on_run_start("dsr(), resnet8, seed 0", 4, 0)
    lines.for_job(str(job)).on_epoch(ROW)
    lines.on_job_end(job.status(Outcome({"top1": 93.5})))
    lines.on_job_end(job.status(Outcome(error="on purpose")))
    assert shown.file.getvalue().splitlines() == [
        "2 of 4 runs are done already",
        "dsr(), resnet8, digits, seed 0: top-1 93.50% (3 of 4)",
        "dsr(), resnet8, digits, seed 0: failed: on purpose (4 of 4)",
    ]


def test_a_line_per_epoch_with_the_serial_engine():
    _, job = study_and_job()
    shown = console(False)
    lines = study_progress_for(shown, serial=True)
    lines.on_study_start(list, 0, 4)
    lines.for_job(str(job)).on_run_start("dsr(), resnet8, seed 0", 4, 0)
    lines.for_job(str(job)).on_epoch(ROW)
    lines.on_job_end(job.status(Outcome({"top1": 93.5})))
    assert shown.file.getvalue() == (
        "dsr(), resnet8, seed 0\n  epoch 2/4  task 0.500  train top-1 80.0%  1000 images/s\n"
    )


def test_the_table_restarts_for_the_evaluation():
    study, job = study_and_job()
    table = LiveTable(console(True))
    for title in ("dsr(), resnet8, seed 0", "metrics of dsr(), resnet8, seed 0"):
        table.on_study_start(partial(row_statuses, [study]), 0, 1)
        table.for_job(str(job)).on_run_start(title, 0, 0)
        table.live.refresh()
        assert "0 of 1 runs" in rendered(table)
        table.on_job_end(job.status(Outcome({"top1": 93.5})))
        table.on_study_end()
        assert title in table.live.console.file.getvalue()
