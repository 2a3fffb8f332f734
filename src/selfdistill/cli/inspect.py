"""`selfdistill plan` and `selfdistill taps`: look before training."""

from typing import Annotated, Any

import typer

from selfdistill.cli.options import Classifier, Model, configured


@configured("data", "model", "batch_size", "limit", "size", "classifier")
def plan(
    method: Annotated[str, typer.Argument(help='Method expression, as in "drg() + dsr()".')],
    *,
    recipe: dict[str, Any],
) -> None:
    """Show what a step would do: passes, taps, heads, memory, needs."""
    from copy import deepcopy

    from selfdistill.data import default_augmentation
    from selfdistill.inspect.plan import plan as make_plan
    from selfdistill.methods import parse_method
    from selfdistill.models import create
    from selfdistill.train.config import RunConfig
    from selfdistill.train.run import load_data

    asked, config = parse_method(method), RunConfig(method, **recipe)
    splits = load_data(config)
    student = create(config.model, len(splits.classes), size=splits.train.size)
    example = default_augmentation(splits).normalize(splits.train.images[: config.batch_size])
    stand_ins = {role: deepcopy(student) for role in asked.teachers}
    print(make_plan(asked, student, example, stand_ins, config.classifier))


def taps(
    model: Model = "resnet8",
    size: Annotated[int, typer.Option(help="Pixels of a side.")] = 32,
    classes: Annotated[int, typer.Option(help="Classes to tell apart.")] = 10,
    classifier: Classifier = None,
) -> None:
    """Show the stages, embedding and classifier found in a model."""
    import torch

    from selfdistill.cli.console import aligned
    from selfdistill.features import read_anatomy
    from selfdistill.inspect.plan import anatomy_lines
    from selfdistill.models import create

    found = read_anatomy(create(model, classes, size=size), torch.randn(2, 3, size, size), classifier)
    print(aligned(anatomy_lines(found)))
