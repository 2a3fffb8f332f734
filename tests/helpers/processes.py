"""Real processes: forks, for a start of Python takes seconds, and the command."""

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]


def forked(work):
    """The number of a child process that does this, ending with status 1 where it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, of which none is at work here
        child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        os._exit(1)


def outcome(child):
    """0 for an end, -9 for one by SIGKILL."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def command(*words, **options):
    """The command as a process."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = [sys.executable, "-m", "selfdistill", *words]
    return subprocess.Popen(started, **{"cwd": ROOT, "env": environment, **pipes, **options})


def until(happened, seconds=120):
    """Wait for something to happen."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
