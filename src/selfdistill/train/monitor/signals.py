"""SIGINT and SIGTERM as requests to stop after the current step."""

import signal
import threading
from types import FrameType
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Context that handles SIGINT and SIGTERM: the first is stored in `caught`, the second ends the process.

    Signals that the process ignores stay ignored. Outside the main thread, where Python allows no handlers, none is
    caught.
    """

    def __init__(self) -> None:
        self.caught = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            handled = [each for each in STOPPING if signal.getsignal(each) is not signal.SIG_IGN]
            self._before = {each: signal.signal(each, self._catch) for each in handled}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self.caught = number
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
