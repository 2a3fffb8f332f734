"""What a study is asked for: methods, models, data sets and seeds, each with each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from selfdistill.errors import UserError
from selfdistill.methods import method as named
from selfdistill.study.folders import pair_folder, usual_folder
from selfdistill.train.config import RunConfig


@dataclass(frozen=True)
class Grid:
    """Methods × models × data × seeds. `recipe` is what all runs share; its model and data stand where none are given.

    `controls` adds each method's heads and passes without its distillation; `equal_compute` adds plain
    cross-entropy trained for as much longer as a method costs more. Raises `UserError` for an empty grid.
    """

    methods: Sequence[str]
    models: Sequence[str] = ()
    data: Sequence[str] = ()
    seeds: Sequence[int] = field(default=range(3))
    recipe: RunConfig = field(default=RunConfig("ce()"))
    controls: bool = False
    equal_compute: bool = False

    def __post_init__(self) -> None:
        for name in ("methods", "models", "data"):
            if isinstance(getattr(self, name), str):
                raise UserError(
                    f"{name} of a grid are several, but found the text {getattr(self, name)!r}; write a list"
                )
        if not self.methods or not self.seeds:
            raise UserError("a grid needs one method and one seed at least")

    @property
    def rows(self) -> tuple[str, ...]:
        """The methods as they are written, each once, with their controls where these are asked for."""
        made = [named(each) for each in self.methods]
        texts = [each.text for each in made] if not self.controls else with_controls(self.methods)
        return tuple(dict.fromkeys(texts))

    @property
    def folder(self) -> Path:
        """Where it lies if it is given no folder."""
        return usual_folder(self.recipe, self.models, self.data)

    def pairs(self, folder: Path) -> Iterator[tuple[RunConfig, Path]]:
        """What the runs of each data set and model share, and where they lie: in `folder` itself where all is one."""
        pairs = [
            (data, model) for data in self.data or [self.recipe.data] for model in self.models or [self.recipe.model]
        ]
        for data, model in pairs:
            place = pair_folder(folder, data, model) if len(pairs) > 1 else folder
            yield replace(self.recipe, data=data, model=model), place


def with_controls(methods: Sequence[str]) -> list[str]:
    """Each method and, where it has heads or more passes, the same without distillation."""
    made = [named(method) for method in methods]
    pairs = [[each.text, each.as_control().text] if each.has_control else [each.text] for each in made]
    return [text for pair in pairs for text in pair]
