"""Methods whose process dies, once or always."""

import os
import signal
from pathlib import Path

from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor
from selfdistill.terms import LossTerm


class Dies(LossTerm):
    def __init__(self, marker: str):
        super().__init__()
        self.marker = Path(marker)

    def loss(self, seen):
        if seen.progress.epoch >= 1 and len(seen.logits) > 2 and not self.marker.is_file():
            if self.marker.parent.is_dir():
                self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return seen.logits.sum() * 0


@method_constructor
def dies(marker: str = "/nowhere/to/write") -> Method:
    """Killed in its second epoch, unless the file `marker` is there; writes it first, if it can."""
    return Method({"dies": Dies(marker)})
