from io import StringIO

from rich.console import Console

from selfdistill.train.monitor.progress import EpochLines, ProgressBar, progress_for

ROW = {"epoch": 2, "lr": 0.1, "losses": {"task": 1.25, "shape": 0.5}, "train_top1": 43.21}
ROW |= {"seconds": 2.0, "images_per_second": 1234.5}


def shown(display, row):
    display.on_run_start("drg() [x]", 3, 10)
    for _ in range(10):
        display.on_step()
    display.on_epoch(row)
    display.on_run_end()
    return display.console.file.getvalue()


def test_lines_tell_an_epoch_each():
    assert shown(EpochLines(Console(file=StringIO(), width=40)), ROW).splitlines() == [
        "drg() [x]",
        "  epoch 2/3  task 1.250  shape 0.500  train top-1 43.2%  1234 images/s",
    ]


def test_accuracy_on_held_out_images_is_told_where_there_are_any():
    text = shown(EpochLines(Console(file=StringIO(), width=40)), ROW | {"validation_top1": 40.0})
    assert "train top-1 43.2%  validation top-1 40.00%  1234 images/s" in text


def test_a_terminal_gets_a_bar_and_keeps_nothing_of_it():
    console = Console(file=StringIO(), width=150, force_terminal=True)
    display = progress_for(console)
    assert isinstance(display, ProgressBar)
    text = shown(display, ROW)
    assert "drg() [x]" in text
    assert "task 1.250" in text
    assert display.progress.finished is False
    assert text.rstrip().endswith("\x1b[2K")


def test_what_is_no_terminal_gets_lines():
    assert isinstance(progress_for(Console(file=StringIO())), EpochLines)
