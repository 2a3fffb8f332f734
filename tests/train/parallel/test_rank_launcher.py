"""A failed rank ends the run with exit status 2, also where rank 0 hangs in a collective."""

import subprocess
import sys

from selfdistill.train.parallel.rank_launcher import LOST_RANK

HANGING = """
import subprocess, sys, time
from selfdistill.train.parallel.rank_launcher import RankObserver

ranks = [subprocess.Popen([sys.executable, "-c", code]) for code in sys.argv[1:]]
RankObserver(ranks, poll=0.1, grace=0.2).start()
time.sleep({seconds})
"""
FAILS, WAITS = "raise SystemExit(2)", "import time; time.sleep(60)"


def observed(*ranks, seconds):
    """Exit status and stderr of a rank 0 that sleeps while others run the code `ranks`."""
    words = [sys.executable, "-c", HANGING.format(seconds=seconds), *ranks]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stderr


def test_a_hanging_rank_0_ends_with_2_and_so_do_the_others():
    status, err = observed(FAILS, WAITS, seconds=60)  # stderr is read to its end: all of them have ended
    assert status == 2
    assert err.endswith(f"selfdistill: {LOST_RANK}\n")


def test_ranks_that_end_well_end_nothing():
    assert observed("pass", seconds=1) == (0, "")
