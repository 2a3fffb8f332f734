"""Drawn shapes on textures, with masks (`shapes:segment`) or tags (`shapes:tag`); no files."""

from selfdistill.data.images import Images
from selfdistill.data.masked_images import MaskedImages, MaskedTensors
from selfdistill.data.shape_pictures import CLASSES, SHAPES, draw_pictures, visible_shapes
from selfdistill.data.sources.options import parse_counts
from selfdistill.data.sources.source_data import MaskedSourceData, PickCount, PickRows, SourceData

DEFAULTS = {"size": 64, "train": 1000, "test": 300}
SEEDS = {"train": 1, "test": 2}  # of the pictures, which do not depend on the run's seed


def read(name: str, argument: str, pick: PickRows, size: int | None) -> SourceData:
    """Draw `shapes:tag,size=64,train=1000,test=300`: labels [N, 7] float32, 1 for each shape that is seen."""
    train, test = (
        Images(each.images, visible_shapes(each.masks))
        for each in _draw(name, argument, {"size": size} if size else {})
    )
    return SourceData(train.rows(pick(train.labels, SHAPES)), None, test, SHAPES)


def read_masked(name: str, argument: str, pick: PickCount, skip_unreadable: bool = False) -> MaskedSourceData:
    """Draw `shapes:segment,size=64,train=1000,test=300`: the background and seven shapes."""
    train, test = map(MaskedImages, _draw(name, argument, {}))
    return MaskedSourceData(train.rows(pick(len(train))), None, test, CLASSES)


def _draw(name: str, argument: str, given: dict[str, int]) -> tuple[MaskedTensors, MaskedTensors]:
    """Draw the training and the test pictures."""
    task, _, text = argument.partition(",")
    options = (
        parse_counts(
            text,
            DEFAULTS,
            f"{name}:{task},",
        )
        | given
    )
    train, test = (
        MaskedTensors(*draw_pictures(options[split], options["size"], seed)) for split, seed in SEEDS.items()
    )
    return train, test
