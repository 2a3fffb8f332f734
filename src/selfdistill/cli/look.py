"""`selfdistill plan` and `selfdistill taps`: look before training."""

from typing import Annotated

import typer

from selfdistill.cli.options import BatchSize, Classifier, Data, Limit, Model, Size


def plan(
    method: Annotated[str, typer.Argument(help='Method expression, as in "drg() + dsr()".')],
    data: Data = "digits",
    model: Model = "resnet8",
    batch_size: BatchSize = 64,
    limit: Limit = None,
    size: Size = None,
    classifier: Classifier = None,
) -> None:
    """Show what a step would do: passes, taps, heads, memory, needs."""
    from copy import deepcopy

    from selfdistill import data as sources
    from selfdistill.methods import method as named
    from selfdistill.models import create
    from selfdistill.plan import plan as make_plan

    asked = named(method)
    splits = sources.load(data, limit=limit, size=size)
    student = create(model, len(splits.classes), size=splits.train.size)
    example = sources.usual(splits).normalise(splits.train.images[:batch_size])
    stand_ins = {role: deepcopy(student) for role in asked.teachers}
    print(make_plan(asked, student, example, stand_ins, classifier))


def taps(
    model: Model = "resnet8",
    size: Annotated[int, typer.Option(help="Pixels of a side.")] = 32,
    classes: Annotated[int, typer.Option(help="Classes to tell apart.")] = 10,
    classifier: Classifier = None,
) -> None:
    """Show the stages, embedding and classifier found in a model."""
    import torch

    from selfdistill import anatomy
    from selfdistill.cli.show import aligned
    from selfdistill.models import create
    from selfdistill.plan import anatomy_lines

    found = anatomy.read(create(model, classes, size=size), torch.randn(2, 3, size, size), classifier)
    print(aligned(anatomy_lines(found)))
