"""The grid of a study: the full cross product of methods, models, data sets, label noise, folds and seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from selfdistill.data.sources.own_name import module_of_data
from selfdistill.errors import UserError
from selfdistill.method.expression import own_modules
from selfdistill.methods import parse_method
from selfdistill.models.own_model import module_of
from selfdistill.study.evaluation.request import EvaluationRequest
from selfdistill.study.layout import default_folder, pair_folder
from selfdistill.train.config import RunConfig

MOST_SEEDS = 1_000_000


@dataclass(frozen=True)
class Grid:
    """Methods × models × data × label noise × folds × seeds. `recipe` holds the other settings, and defaults.

    `label_noise` are fractions of wrong training labels. `controls` adds each method's heads and passes
    without its distillation; `equal_compute` adds cross-entropy trained for as many FLOPs as each method uses.
    `metrics` are evaluated on the finished runs, on `test_limit` test images (default: all); `ood` are the images
    of other classes for OOD detection. With `folds`, each part of data without a test set is the test set once, and
    the statistics are over folds instead of seeds. A Python file with `STUDY = Grid(…)` is trained by
    `selfdistill study FILE`.
    Raises `UserError` for an empty grid, a text or a number in place of a list, a fraction of wrong labels outside
    0 to 1, an unknown metric, `test_limit` without metrics, and a recipe with a fold or a test share beside `folds`.

    >>> grid = sd.Grid(["ce()", "drg()"], models=["resnet8", "resnet20"], seeds=[0, 1], controls=True)
    >>> grid.rows
    ('ce()', 'drg()', 'control(drg())')
    """

    methods: Sequence[str]
    models: Sequence[str] = ()
    data: Sequence[str] = ()
    seeds: Sequence[int] = field(default=range(5))
    recipe: RunConfig = field(default=RunConfig("ce()"))
    controls: bool = False
    equal_compute: bool = False
    label_noise: Sequence[float] = ()
    metrics: Sequence[str] = ()
    ood: str | None = None
    test_limit: int | None = None
    folds: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("methods", "models", "data", "label_noise", "metrics"):
            if isinstance(found := getattr(self, name), str | float | int):
                what = f"the text {found!r}" if isinstance(found, str) else f"the number {found}"
                raise UserError(f"{name} of a grid must be a list, but found {what}; write a list")
        for name, way in (("methods", "ce()"), ("models", "MODULE:CALLABLE"), ("data", "own:MODULE:CALLABLE")):
            if objects := [each for each in getattr(self, name) if not isinstance(each, str)]:
                raise UserError(
                    f"{name} of a grid are texts, which a record can hold, but found {type(objects[0]).__name__}; "
                    f"write a text such as {way!r}"
                )
        for share in self.label_noise:
            replace(self.recipe, label_noise=share)  # raises `UserError` for an invalid fraction
        if self.folds is not None and self.recipe.folds is not None:
            raise UserError(
                "folds of a grid take each fold in turn, but its recipe has a fold already; leave one of both out"
            )
        self._with_folds()  # raises `UserError` for an invalid number of folds
        if self.request is None and self.test_limit is not None:
            raise UserError(
                'test_limit limits the images of metrics, but the grid names no metrics; write metrics=["basic"]'
            )
        if isinstance(self.seeds, range) and max(map(abs, (self.seeds.start, self.seeds.stop))) > MOST_SEEDS:
            raise UserError(f"seeds of a grid are up to {MOST_SEEDS:,}, but found {self.seeds}")
        if not self.methods or not self.seeds:
            raise UserError("a grid needs at least one method and one seed")

    @property
    def rows(self) -> tuple[str, ...]:
        """Return the distinct method expressions, with their controls if requested.

        >>> sd.Grid(["drg(alpha=0.2)", "drg()"]).rows
        ('drg()',)
        """
        made = [parse_method(each) for each in self.methods]
        texts = [each.text for each in made] if not self.controls else with_controls(self.methods)
        return tuple(dict.fromkeys(texts))

    @property
    def request(self) -> EvaluationRequest | None:
        """Return the requested metrics of the finished runs, or None. Raises `UserError` for an unknown metric.

        >>> sd.Grid(["ce()"], metrics=["basic", "cost"]).request.metrics
        ('basic', 'cost')
        """
        if not self.metrics and self.ood is None:
            return None
        return EvaluationRequest(
            tuple(self.metrics) or ("basic",),
            self.ood,
            limit=self.test_limit,
            accelerator=self.recipe.accelerator,
            skip_unreadable=self.recipe.skip_unreadable,
            modules=self.modules,
        )

    @property
    def modules(self) -> tuple[str, ...]:
        """Return the modules of the user's own methods, models and data, which the grid names.

        >>> sd.Grid(["ce()", "my_terms:early_exit()"], models=["resnet8", "my_networks:tiny"], seeds=[0]).modules
        ('my_terms', 'my_networks')
        """
        models = (module_of(each) for each in self.models or [self.recipe.model])
        data = (module_of_data(each) for each in self.data or [self.recipe.data])
        methods = (module for each in self.methods for module in own_modules(each))
        return tuple(dict.fromkeys((*methods, *(each for each in (*models, *data) if each))))

    @property
    def folder(self) -> Path:
        """Return the default folder.

        >>> sd.Grid(["ce()"], models=["resnet8", "resnet20"]).folder.as_posix()
        'runs/digits-resnet8-resnet20-20epochs'
        """
        return default_folder(self.recipe, self.models, self.data, self.label_noise, self.folds)

    def pairs(self, folder: Path) -> Iterator[tuple[RunConfig, Path]]:
        """Return the shared configuration and the folder of each combination of data set, model and label noise.

        >>> grid = sd.Grid(["ce()"], models=["resnet8", "resnet20"])
        >>> [(config.model, folder.name) for config, folder in grid.pairs(grid.folder)]
        [('resnet8', 'digits-resnet8'), ('resnet20', 'digits-resnet20')]
        """
        recipe, several = self._with_folds(), len(self.label_noise) > 1
        shares = self.label_noise or [recipe.label_noise]
        pairs = list(product(self.data or [recipe.data], self.models or [recipe.model], shares))
        for data, model, noise in pairs:
            place = pair_folder(folder, data, model, noise if several else None) if len(pairs) > 1 else folder
            yield replace(recipe, data=data, model=model, label_noise=noise), place

    def _with_folds(self) -> RunConfig:
        """Return the recipe, of the first fold if the grid has folds."""
        return self.recipe if self.folds is None else replace(self.recipe, folds=self.folds)


def with_controls(methods: Sequence[str]) -> list[str]:
    """Return each method, followed by its control if it has heads or extra passes."""
    made = [parse_method(method) for method in methods]
    pairs = [[each.text, each.as_control().text] if each.has_control else [each.text] for each in made]
    return [text for pair in pairs for text in pair]
