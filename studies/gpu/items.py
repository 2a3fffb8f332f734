"""The items of the campaign in order of worth: tests, benchmarks, studies."""

import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product, takewhile
from pathlib import Path
from typing import Any

from selfdistill.system import available_cores

ROOT = Path(__file__).parents[2]
CHEAP = ("dsr()", "csd()", "scd()", "sad()", "drg()", "lightskd()", "byot()", "cs_kd()", "ddgsd()", "kd()")
STUDIED = (
    *("ce()", "label_smoothing()", "mixup()", "lightskd()", "csd()", "scd()"),
    *("cs_kd()", "byot()", "ps_kd()", "dsr()"),
)


@dataclass(frozen=True)
class Place:
    """Where an item finds its files and for how long it may run."""

    data: str  # CIFAR-100, as of `--data`
    work: Path  # runs and caches of this machine
    ends: float  # `time.monotonic()` after which no new run begins
    emit: Callable[[dict[str, Any]], None] = lambda values: None  # keeps partial results, safe from an interruption


@dataclass(frozen=True)
class Item:
    """One piece of work; `run` gives its results as JSON values.

    `minutes` is what it takes at most; with `open_ended` it stops by itself at the end of a slice and goes on in the
    next one, until its results say `"finished": true`.
    """

    name: str
    minutes: float
    run: Callable[[Place], dict[str, Any]]
    open_ended: bool = False


def cuda_tests(place: Place) -> dict[str, Any]:
    """The tests that need a GPU: counts, and the names and texts of failures and skips."""
    report = place.work / "cuda-tests.xml"
    command = [sys.executable, "-m", "pytest", "-m", "cuda", "-q", f"--junitxml={report}", "tests/cuda"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if not report.is_file():
        return {"error": (done.stdout + done.stderr)[-2000:]}
    return counted(ElementTree.parse(report).getroot())


def counted(root: ElementTree.Element) -> dict[str, Any]:
    """Outcomes of a JUnit report."""
    cases = list(root.iter("testcase"))
    named = {kind: [case for case in cases if case.find(kind) is not None] for kind in ("failure", "error", "skipped")}
    bad = len(named["failure"]) + len(named["error"])
    texts = {kind: {str(case.get("name")): text_of(case, kind) for case in found} for kind, found in named.items()}
    return {"passed": len(cases) - bad - len(named["skipped"]), "failed": bad, **texts}


def text_of(case: ElementTree.Element, kind: str) -> str:
    """What a report says of a failed or skipped test."""
    found = case.find(kind)
    return "" if found is None else str(found.get("message") or found.text or "")[:500]


def bench(model: str, data: str, batch_size: int, precision: str, mode: str | None, rounds: int = 10) -> Callable:
    """Steps of methods beside those of cross-entropy, in interleaved rounds; `mode` is that of torch.compile."""

    def run(place: Place) -> dict[str, Any]:
        from selfdistill.bench.rounds import run_rounds
        from selfdistill.train.config import RunConfig
        from selfdistill.train.run import load_data

        compiled = {"compile": mode is not None, "compile_mode": mode or "default"}
        base = RunConfig("ce()", data=data, model=model, batch_size=batch_size, precision=precision, **compiled)
        costs = run_rounds(CHEAP, base, load_data(base), rounds=rounds, steps=5)
        return {"model": model, "batch_size": batch_size, "compiled": mode, "costs": [asdict(each) for each in costs]}

    return run


def loops(model: str, data: str, batch_size: int, rounds: int = 5) -> Callable[[Place], dict[str, Any]]:
    """Images per second of cross-entropy here, in a plain loop with a DataLoader, and in the fastest plain loop."""

    def run(place: Place) -> dict[str, Any]:
        sys.path.insert(0, str(ROOT / "benchmarks"))
        from plain_loop import plain, resident
        from sides import ours, race

        from selfdistill.train.config import RunConfig
        from selfdistill.train.run import load_data

        config = RunConfig("ce()", data=data, model=model, batch_size=batch_size, precision="bf16")
        splits = load_data(config)
        sides = [plain("plain loop", replace(config, precision="32"), splits, count) for count in workers_of()]
        sides += [resident("resident tensors", config, splits, False), resident("compiled", config, splits, True)]
        sides += [ours("selfdistill", config, splits), ours("compiled", replace(config, compile=True), splits)]
        speeds = race(sides, rounds)
        return {"sides": [{"label": side.label, "images/s": own} for side, own in zip(sides, speeds, strict=True)]}

    return run


def workers_of() -> tuple[int, int]:
    """Workers of a plain loop's DataLoader: none, and as many as there are cores, up to eight."""
    return 0, min(available_cores(), 8)


def sharing(runs: int, workers: Iterable[int], model: str, epochs: int, batch_size: int) -> Callable:
    """Seconds that equal runs take with one, two, four … processes on one device."""

    def run(place: Place) -> dict[str, Any]:
        from selfdistill.study import Grid, RunConfig, compare_all
        from selfdistill.study.engine.engine import make_engine

        recipe = RunConfig("ce()", data=place.data, model=model, epochs=epochs, batch_size=batch_size)
        seconds = {}
        for count in workers:
            start = time.monotonic()
            engine = make_engine("local", count)
            compare_all(
                Grid(["ce()"], seeds=range(runs), recipe=recipe), place.work / f"sharing-{count}", engine=engine
            )
            seconds[str(count)] = time.monotonic() - start
        return {"runs": runs, "seconds": seconds}

    return run


def study(name: str, methods: Iterable[str], seeds: int, equal_compute: bool = True, **recipe: Any) -> Callable:
    """A study whose runs begin until the slice ends; the records of each run are kept as soon as it is finished."""

    def run(place: Place) -> dict[str, Any]:
        from selfdistill.study import Grid, RunConfig, compare_all

        base = RunConfig("ce()", data=place.data, **recipe)
        grid = Grid(list(methods), seeds=range(seeds), recipe=base, equal_compute=equal_compute)
        folder = place.work / "studies" / name
        (made,) = compare_all(grid, folder, engine=until(place, name, folder))
        wanted = len(made.methods) * seeds
        finished = sum(len(each) for each in made.results.values())
        errors = {"errors": made.errors} if made.errors else {}
        return {"study": name, "files": {}, "runs": finished, "finished": finished == wanted, **errors}

    return run


def until(place: Place, name: str, folder: Path) -> Callable[..., Iterator[Any]]:
    """An engine that begins no run after the slice's end and emits the records of each that is finished."""
    from selfdistill.study.engine.engine import SerialEngine

    def engine(jobs: Iterable[Any], *listening: Any) -> Iterator[Any]:
        for job, outcome in SerialEngine()(takewhile(lambda _: time.monotonic() < place.ends, jobs), *listening):
            files = {**dict(records(job.folder, folder)), "study.json": (folder / "study.json").read_text()}
            place.emit({"study": name, "files": files, "finished": False})
            yield job, outcome

    return engine


def records(run: Path, root: Path) -> Iterator[tuple[str, str]]:
    """Text of each small file of a run, by its path relative to the study."""
    for path in sorted([*run.glob("*.json"), *run.glob("log.jsonl")]):
        yield str(path.relative_to(root)), path.read_text()


def restored(folder: Path, files: dict[str, str]) -> None:
    """Write the records of a study back, so that its finished runs are not made again."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def gpu_items() -> list[Item]:
    """What half an hour on a GPU is worth most for, first things first."""
    small, large = "fake:classes=100,train=12800,test=100", "fake:classes=1000,train=2560,test=100,size=224"
    modes = [*product(("32", "bf16"), (None, "default")), ("bf16", "reduce-overhead")]
    return [
        Item("cuda-tests", 3, cuda_tests),
        Item("loops-resnet18", 2, loops("resnet18", small, 512)),
        *(Item(named("bench-resnet18", p, m), 3, bench("resnet18", small, 512, p, m)) for p, m in modes),
        Item("bench-resnet50", 3, bench("torchvision/resnet50", large, 128, "bf16", None)),
        Item("bench-resnet50-compiled", 4, bench("torchvision/resnet50", large, 128, "bf16", "default")),
        Item("sharing", 2, sharing(4, (1, 2, 4), "resnet20", 2, 512)),
        Item("cifar100-30", 1, study("cifar100-30", STUDIED, 5, **short()), open_ended=True),
        Item("cifar100-200", 1, study("cifar100-200", STUDIED, 3, **long()), open_ended=True),
    ]


def named(name: str, precision: str, mode: str | None) -> str:
    """Return the name of a benchmark, with its precision and mode of torch.compile."""
    compiled = {None: "", "default": "-compiled"}
    return f"{name}-{precision}" + compiled.get(mode, f"-{mode}")


def short() -> dict[str, Any]:
    """Thirty epochs at a high rate, rising and falling once."""
    shared = {"model": "resnet18", "precision": "bf16", "compile": True, "weight_decay": 5e-4}
    return shared | {"epochs": 30, "batch_size": 512, "lr": 0.4, "warmup": 6}


def long() -> dict[str, Any]:
    """Two hundred epochs, the literature's length."""
    shared = {"model": "resnet18", "precision": "bf16", "compile": True, "weight_decay": 5e-4}
    return shared | {"epochs": 200, "batch_size": 128, "lr": 0.1, "warmup": 5}


def toy_items() -> list[Item]:
    """The same kinds of work, small enough for two cores."""
    digits = {"model": "resnet8", "limit": 200, "epochs": 2}
    fake = "fake:classes=10,train=256,test=32,size=16"
    return [
        Item("cuda-tests", 1, cuda_tests),
        Item("loops", 1, loops("resnet8", fake, 64, rounds=2)),
        Item("bench", 1, bench("resnet8", fake, 64, "32", None, rounds=2)),
        Item("sharing", 1, sharing(2, (1, 2), "resnet8", 1, 64)),
        Item("digits", 0.2, study("digits", ("ce()", "csd()"), 4, equal_compute=False, **digits), open_ended=True),
    ]


SETS: dict[str, Callable[[], list[Item]]] = {"gpu": gpu_items, "toy": toy_items}


def to_line(values: dict[str, Any]) -> str:
    """One result as a line of JSON."""
    return json.dumps(values, allow_nan=True) + "\n"
