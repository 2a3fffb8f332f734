"""`selfdistill plan` and `selfdistill taps`: a model and a training step, without training."""

from typing import Annotated

import typer

from selfdistill.cli.options import Classifier, Model, run_options
from selfdistill.task import CLASSIFY, TaskName
from selfdistill.train.config import RunConfig


@run_options(
    *("data", "task", "model", "epochs", "batch_size", "limit", "size", "test", "skip_unreadable", "classifier", "aux"),
    "memory",
)
def plan(
    method: Annotated[str, typer.Argument(help='Method expression, such as "drg() + dsr()".')],
    *,
    config: RunConfig,
) -> None:
    """Describe a training step (passes, taps, heads, memory, data) without running it."""
    from selfdistill.data.kinds import augmentation_for, example_inputs
    from selfdistill.features.model_copy import copy_model
    from selfdistill.inspect.plan import plan as make_plan
    from selfdistill.methods import parse_method
    from selfdistill.train.networks import create_for
    from selfdistill.train.preflight import remarks
    from selfdistill.train.run import load_data

    parsed = parse_method(method)
    splits = load_data(config)
    student = create_for(config.model, config, splits)
    example = example_inputs(splits.train, config.batch_size, augmentation_for(splits, config.size))
    stand_ins = {role: copy_model(student) for role in parsed.teachers}
    settings = config.classifier, config.resolved_task.rows, config.aux, len(splits.train), config.tables
    print(make_plan(parsed, student, example, stand_ins, *settings))
    for words in remarks(parsed, config):
        print(f"note: {words}")


def taps(
    model: Model = "resnet8",
    size: Annotated[int, typer.Option(help="Image size in pixels per side.")] = 32,
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 10,
    classifier: Classifier = None,
    task: Annotated[TaskName, typer.Option(help="Task of the model.")] = CLASSIFY,
) -> None:
    """Show the stages, embedding and classifier that tracing finds in a model."""
    import torch

    from selfdistill.cli.console import aligned
    from selfdistill.features import read_anatomy
    from selfdistill.inspect.plan import anatomy_lines
    from selfdistill.models import create

    found = read_anatomy(create(model, classes, size=size, task=task), torch.randn(2, 3, size, size), classifier)
    print(aligned(anatomy_lines(found)))
