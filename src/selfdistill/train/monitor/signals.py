"""Signals as a wish to stop."""

import signal
import threading
from types import FrameType
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Listens, as a context, for SIGINT and SIGTERM: the first is kept in `caught`, the second ends the process.

    One that the process ignores it goes on ignoring. Outside the main thread, where nobody can listen, nothing is
    caught.
    """

    def __init__(self) -> None:
        self.caught = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            heard = [each for each in STOPPING if signal.getsignal(each) is not signal.SIG_IGN]
            self._before = {each: signal.signal(each, self._catch) for each in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self.caught = number
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
