"""A grid of methods and seeds on one model and one data set."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selfdistill.records import AnyResult, TunedRecipe, score_of
from selfdistill.run_key import FoldSeed, RunKey, seed_of
from selfdistill.task import CLASSIFY, Task
from selfdistill.train.config import RunConfig

BASELINE_METHOD = "ce()"  # the baseline, if the study has it


def describe_runs(config: RunConfig) -> str:
    """Describe the shared settings of runs: "resnet8, digits, label noise 0.4"."""
    noise = f", label noise {config.label_noise:g}" if config.label_noise else ""
    return f"{config.model}, {config.data}{noise}"


@dataclass
class Study:
    """The results of a grid by row and seed, or by row, fold and seed, and the errors of failed rows.

    A row is a method's expression, or plain cross-entropy for more epochs, such as "ce() at 2.08x".

    >>> study = Study(sd.RunConfig("ce()", epochs=5), ("ce()", "drg()"), (0, 1), Path("runs/study"))
    >>> study.baseline, study.config("drg()", 1).method
    ('ce()', 'drg()')
    """

    base: RunConfig  # shared by all runs, except method, fold, seed and a row's epochs
    methods: tuple[str, ...]  # the rows
    seeds: tuple[int, ...]
    folder: Path
    results: dict[str, dict[RunKey, AnyResult]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    epochs: Mapping[str, int] = field(default_factory=dict)  # of the rows at equal compute
    compute: Mapping[str, float] = field(default_factory=dict)  # of a row's whole training, relative to ce()
    recipes: Mapping[str, TunedRecipe] = field(default_factory=dict)  # of the rows with another recipe than `base`
    test_images: int | None = None  # None in studies of earlier versions
    left_out: dict[tuple[str, RunKey], str] = field(default_factory=dict)  # unreadable runs, with the reason
    folds: int | None = None  # each is the test set of every row and seed once; None: the data's own test set
    train_images: int | None = None  # of the first fold; None without folds

    @property
    def task(self) -> Task:
        """Return the task of the runs, which names their score.

        >>> Study(sd.RunConfig("ce()", data="masks:PATH"), ("ce()",), (0,), Path("runs/study")).task.score
        'miou'
        """
        return self.base.resolved_task

    @property
    def keys(self) -> list[RunKey]:
        """Return the keys of a row's runs: seeds, or folds and seeds.

        >>> Study(sd.RunConfig("ce()"), ("ce()",), (7,), Path("runs/study"), folds=2).keys
        [FoldSeed(fold=0, seed=7), FoldSeed(fold=1, seed=7)]
        """
        if self.folds is None:
            return list(self.seeds)
        return [FoldSeed(fold, seed) for fold in range(self.folds) for seed in self.seeds]

    def key_of(self, config: RunConfig) -> RunKey:
        """Return the key of the run of a configuration.

        >>> study = Study(sd.RunConfig("ce()"), ("ce()",), (0,), Path("runs/study"), folds=2)
        >>> study.key_of(sd.RunConfig("ce()", folds=2, fold=1))
        FoldSeed(fold=1, seed=0)
        """
        return config.seed if self.folds is None else FoldSeed(config.fold, config.seed)

    @property
    def unit(self) -> str:
        """Return what a value of the statistics is of: "seed", or "fold", over whose seeds it is a mean."""
        return "seed" if self.folds is None else "fold"

    @property
    def overlap(self) -> float:
        """Return the number of test images by that of training images of folds, for their t-test; 0 for seeds.

        >>> of_folds = {"folds": 5, "test_images": 20, "train_images": 80}
        >>> Study(sd.RunConfig("ce()"), ("ce()",), (0,), Path("runs/study"), **of_folds).overlap
        0.25
        """
        return self.test_images / self.train_images if self.test_images and self.train_images else 0.0

    def scores(self, method: str) -> dict[RunKey, float]:
        """Return the scores of a row's finished runs by seed, or by fold and seed, in percent.

        >>> results = {"ce()": {0: {"top1": 91.0}}}
        >>> Study(sd.RunConfig("ce()"), ("ce()",), (0,), Path("runs/study"), results).scores("ce()")
        {0: 91.0}
        """
        return {key: score_of(each, self.task) for key, each in self.results.get(method, {}).items()}

    @property
    def baseline(self) -> str:
        """Return the row that the others are compared with: plain cross-entropy, or the first method.

        >>> Study(sd.RunConfig("ce()"), ("drg()", "ce()"), (0,), Path("runs/study")).baseline
        'ce()'
        """
        return BASELINE_METHOD if BASELINE_METHOD in self.methods else self.methods[0]

    @property
    def one_image(self) -> float | None:
        """Return the accuracy of one test image in percent, the smallest difference; None if that is unknown.

        The scores of pixels and tags have no smallest difference.

        >>> Study(sd.RunConfig("ce()"), ("ce()",), (0,), Path("runs/study"), test_images=400).one_image
        0.25
        """
        return 100 / self.test_images if self.test_images and self.task.name == CLASSIFY else None

    def finished(self, method: str) -> list[AnyResult]:
        """Return the results of a row in the order of the folds and seeds.

        >>> results = {"ce()": {1: {"top1": 92.5}, 0: {"top1": 91.0}}}
        >>> Study(sd.RunConfig("ce()"), ("ce()",), (0, 1), Path("runs/study"), results).finished("ce()")
        [{'top1': 91.0}, {'top1': 92.5}]
        """
        return [self.results[method][key] for key in self.keys if key in self.results.get(method, {})]

    def config(self, method: str, key: RunKey) -> RunConfig:
        """Return the configuration of a row's run.

        >>> Study(sd.RunConfig("ce()", lr=0.2), ("drg()",), (0, 1), Path("runs/study")).config("drg()", 1).lr
        0.2
        """
        base = replace(self.base, seed=seed_of(key), fold=key.fold if isinstance(key, FoldSeed) else self.base.fold)
        if method in self.epochs:
            return replace(base, method=BASELINE_METHOD, epochs=self.epochs[method])
        return replace(base, **self.recipes[method]) if method in self.recipes else replace(base, method=method)

    def equal_compute(self, method: str) -> str | None:
        """Return the cross-entropy row with as many FLOPs as this method, or None.

        >>> rows, longer = ("byot()", "ce() at 1.5x"), {"epochs": {"ce() at 1.5x": 30}, "compute": {"byot()": 1.5}}
        >>> Study(sd.RunConfig("ce()", epochs=20), rows, (0,), Path("runs/study"), **longer).equal_compute("byot()")
        'ce() at 1.5x'
        """
        ratio = self.compute.get(method)
        if ratio is None or method in self.epochs:
            return None
        epochs = round(self.base.epochs * ratio)
        return next((row for row, each in self.epochs.items() if each == epochs), None)

    def to_json(self) -> dict[str, Any]:
        """Return the contents of study.json: everything but the files in the runs' own folders.

        >>> Study(sd.RunConfig("ce()"), ("ce()",), (0, 1), Path("runs/study")).to_json()["seeds"]
        [0, 1]
        """
        facts = {"methods": list(self.methods), "seeds": list(self.seeds), "base": self.base.to_json()}
        facts |= {"epochs": dict(self.epochs), "compute": dict(self.compute)}
        facts |= {"recipes": dict(self.recipes)} if self.recipes else {}
        facts |= {} if self.folds is None else {"folds": self.folds, "train_images": self.train_images}
        return facts if self.test_images is None else facts | {"test_images": self.test_images}
