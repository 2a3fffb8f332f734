"""Launcher of a run's ranks on one node; the run ends with exit status 2 when a rank fails."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from lightning_fabric.strategies.launchers.subprocess_script import _ChildProcessObserver, _SubprocessScriptLauncher

LOST_RANK = (
    "another process of this run has ended, so this one ends too; the last checkpoint is kept, and re-running the "
    "command resumes from it"
)
GRACE = 20.0  # seconds for rank 0 to report its own error; only a hanging collective takes longer


class RankLauncher(_SubprocessScriptLauncher):
    """Fabric's launcher with `RankObserver`; Fabric's own observer ends rank 0 by SIGKILL."""

    def launch(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Start the other ranks unless someone else has started them, then call `function`."""
        if not self.cluster_environment.creates_processes_externally:
            self._call_children_scripts()  # sets LOCAL_RANK: from here on, Fabric starts and observes nothing itself
            RankObserver(self.procs).start()
        return super().launch(function, *args, **kwargs)


class RankObserver(_ChildProcessObserver):
    """Thread on rank 0 that ends the run after another rank has failed.

    Rank 0 has `grace` seconds to end with its own error; then it and all other ranks are ended, with exit status 2.
    """

    def __init__(self, ranks: list["subprocess.Popen[bytes]"], poll: int = 5, grace: float = GRACE):
        super().__init__(os.getpid(), ranks, sleep_period=poll)
        self.grace = grace

    def _terminate_all(self) -> None:
        time.sleep(self.grace)  # the thread is a daemon: it ends here if rank 0 ends
        for rank in self._child_processes:
            rank.kill()
        print(f"selfdistill: {LOST_RANK}", file=sys.stderr, flush=True)
        os._exit(2)  # the main thread may be blocked in a collective, which no exception reaches
