"""Does a study slow down as it grows? Seconds a run at its start and its end, and to start it again.

    python benchmarks/many_runs.py --runs 200

Tiny runs (digits, 64 images, resnet8, one epoch) in this process; the folder is deleted afterwards.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from selfdistill.report.tables.accuracy import markdown
from selfdistill.study import Grid, RunConfig, compare_all
from selfdistill.study.engine.progress import Unwatched

ENDS = 20  # runs at each end that are compared


class Clock(Unwatched):
    """When each run ended, by the clock and by this process's own time."""

    def begin(self, studies, done, jobs):
        """Start to count."""
        self.times = [(time.perf_counter(), time.process_time())]

    def done(self, job, outcome):
        """Note when a run ended."""
        assert outcome.error is None, outcome.error
        self.times.append((time.perf_counter(), time.process_time()))

    def each(self, kind: int) -> list[float]:
        """Seconds of each run: 0 by the clock, 1 of this process."""
        return [after[kind] - before[kind] for before, after in zip(self.times, self.times[1:], strict=False)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--runs", type=int, default=200, help="runs in all, of two methods")
    runs = options.parse_args().runs
    torch.set_num_threads(1)
    recipe = RunConfig("ce()", limit=64, epochs=1, batch_size=32, accelerator="cpu")
    grid = Grid(["ce()", "dsr()"], seeds=range(runs // 2), recipe=recipe)
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        compare_all(grid, Path(folder), watch=clock)
        for kind, name in enumerate(("seconds", "CPU seconds")):
            each = clock.each(kind)
            first, last = median(each[:ENDS]), median(each[-ENDS:])
            print(f"{name} a run: first {ENDS} {first:.3f}, last {ENDS} {last:.3f}, ratio {last / first:.2f}")
        again(folder, runs)


def again(folder: str, runs: int) -> None:
    """Time the same command once more, when all is done, for a part and for all of the runs."""
    recipe = RunConfig("ce()", limit=64, epochs=1, batch_size=32, accelerator="cpu")
    for seeds in (runs // 4, runs // 2):
        start = time.process_time()
        (study,) = compare_all(Grid(["ce()", "dsr()"], seeds=range(seeds), recipe=recipe), Path(folder))
        read = time.process_time()
        markdown(study)
        told = f"resumed in {read - start:.2f} CPU seconds, reported in {time.process_time() - read:.3f}"
        print(f"{2 * seeds} finished runs: {told}")


if __name__ == "__main__":
    main()
