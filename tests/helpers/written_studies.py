"""A study as files, as compare writes them, with numbers chosen by the test."""

import json
from dataclasses import replace
from pathlib import Path

from selfdistill.metrics.corruption import CORRUPTIONS
from selfdistill.study import Study
from selfdistill.study.compare import run_folder
from selfdistill.study.load import load
from selfdistill.train.config import RunConfig

GAINS = {  # points of top-1 over the baseline on seeds 0 to 4
    "ce()": (0.0, 0.0, 0.0, 0.0, 0.0),
    "label_smoothing()": (0.5, -0.4, 0.1, 0.3, -0.6),
    "scd()": (-4.0, -3.8, -4.4, -4.1, -3.7),
    "drg(alpha=0.1) + dsr(weight=2)": (0.9, 1.1, 1.0, 1.2, 0.8),
    "csd()": (0.7, 0.6, 0.5, 0.8, 0.6),
    "byot()": (0.4, -0.3, 0.2, 0.1, -0.2),
    "sad()": (-1.0, -0.9, -1.1, -1.2, -0.8),
    "<img src=x onerror=alert(1)>": (0.1, 0.2, -0.1, -0.3, 0.2),
}
BASE = RunConfig("ce()", epochs=3, validation=0.1)
VERSIONS = {"selfdistill": "0.1.0", "torchvision": "0.29", "timm": "1.0", "torch": "2.15.0", "python": "3.12.1"}


def write(
    folder: Path, gains=GAINS, base: RunConfig = BASE, *, seeds: int = 5, without=(), facts=lambda *_: {}
) -> Study:
    """Write a study and read it; runs of `without` (method, seed) are left out, `facts` changes a run.json."""
    said = {"methods": list(gains), "seeds": list(range(seeds)), "base": base.to_json()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.json").write_text(json.dumps(said))
    for number, (method, points) in enumerate(gains.items()):
        for seed in range(seeds):
            if (method, seed) not in without:
                run(folder, method, seed, 95 + 0.3 * seed + points[seed], number, base, facts(method, seed))
    return load(folder)


def run(folder: Path, method: str, seed: int, top1: float, number: int, base: RunConfig, changes) -> None:
    place = run_folder(folder, method, seed)
    place.mkdir(parents=True)
    own, times, longer = method.partition(" at ")  # "ce() at 2.0x"
    if times:
        base = replace(base, epochs=round(base.epochs * float(longer.removesuffix("x"))))
    config = base.to_json() | {"method": own, "seed": seed}
    resolved = method.replace("()", "(weight=1.0)")
    step_ms = 10 * (1 + 0.05 * number)
    found = {"top1": top1, "top5": 99.0, "nll": 0.1, "ece": 2.0, "validation_top1": top1 - 1}
    found |= {
        "best_validation_top1": top1,
        "best_epoch": base.epochs,
        "best_epoch_top1": top1,
        "method": own,
        "seed": seed,
        "resolved": resolved,
    }
    found |= {"data": base.data, "model": base.model, "epochs": base.epochs}
    found |= {"parameters": 78042, "added_parameters": 9610 * (number % 3 == 2), "step_ms": step_ms}
    found |= {"images_per_second": 1000.0, "train_seconds": 3.0}
    known = {"config": config, "method": own, "resolved": resolved, "size": 8, "classes": 10}
    known |= {"class_names": list("0123456789"), "mean": [0.5] * 3, "std": [0.5] * 3}
    known |= {"images": {"train": 1294, "test": 359}}
    known |= {
        "versions": VERSIONS,
        "commit": "0123456789abcdef",
        "machine": {"platform": "Linux", "cpus": 2, "threads": 1},
    }
    timed = {"lr": 0.1, "losses": {"task": 1.0}, "train_top1": 50.0, "seconds": 1.0, "images_per_second": 1000.0}
    epochs = found["epochs"]
    log = [timed | {"epoch": k + 1, "validation_top1": max(top1 - 20 / (k + 1), 0)} for k in range(epochs)]
    (place / "result.json").write_text(json.dumps(found))
    (place / "run.json").write_text(json.dumps(known | changes))
    (place / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))


def measured(study: Study, limited: dict[str, int] | None = None, *, classes: int = 10, **others) -> None:
    """Write what evaluate writes, of every run: numbers that go up and down with its points of top-1."""
    for method, seeds in study.results.items():
        for seed, result in seeds.items():
            path = run_folder(study.folder, method, seed) / "metrics.json"
            facts = {"data": study.base.data, "images": 359} | ({"limited": limited} if limited else {})
            groups = of_points(result["top1"] - 95, classes) | others
            path.write_text(json.dumps(facts | {"metrics": groups}))


def of_points(points: float, classes: int) -> dict:
    attacked = {"2/255": 60 + points, "8/255": 30 + 2 * points}
    kinds = {kind: [80 - 5 * k - n + points for k in range(5)] for n, kind in enumerate(CORRUPTIONS)}
    return {
        "accuracy": {"top1": 12.0, "top5": 12.0, "nll": 12.0},  # of few images: training's own stand before
        "calibration": {"ece": 12.0, "adaptive_ece": 9 - points, "brier": 0.3 - points / 100},
        "selective": {"aurc": 4 - points / 2, "aurc_excess": 3 - points / 2},
        "recall": {"recall_at_1": 85 + points},
        "spread": {"intra": 5 - points / 3, "inter": 7.0, "ratio": None},
        "classes": [
            {"class": f"<b>{k}</b>", "images": 36, "top1": 90 + points * k / 9, "precision": None, "taken_for": None}
            for k in range(classes)
        ],
        "fgsm": attacked,
        "pgd": attacked,
        "corruption": kinds | {"mean": 60 + points},
        "outside": {"data": "svhn", "images": 99, "max_softmax": {"auroc": 80 + points, "fpr95": 40 - points}},
        "cost": {"parameters": 78042, "flops": 1600000, "pass_ms": 0.4, "pass_mib": 0.02, "step_mib": 3.4},
    }
