"""Help of a command with its options in groups, as plain text."""

from itertools import groupby
from typing import Any, Final

from typer.core import TyperCommand, TyperOption

RUN, EVALUATION, ENGINE, OTHER = "Run", "Evaluation", "Engine", "Options"
PANELS: Final = {  # of the fields of RunConfig, in the order of the help
    "Data": (
        *("data", "task", "limit", "validation", "test", "label_noise", "skip_unreadable", "size", "channels"),
        *("class_weights", "balanced"),
    ),
    "Augmentation": ("augment", "crop_scale", "flip", "jitter", "erase", "interpolation"),
    "Model": ("model", "pretrained", "weights", "classifier", "freeze", "unfreeze", "aux"),
    "Optimization": (
        *("recipe", "batch_size", "optimizer", "lr", "head_lr", "layer_decay", "momentum", "nesterov"),
        *("weight_decay", "decay_norms", "accumulate", "clip_norm", "sam"),
    ),
    "Schedule": ("epochs", "steps", "patience", "schedule", "milestones", "gamma", "warmup"),
    "Hardware": (
        *("accelerator", "precision", "devices", "nodes", "strategy", "sync_batchnorm", "compile", "compile_mode"),
        *("decode", "decode_workers"),
    ),
}


def panel_of(name: str) -> str | None:
    """Return the panel of a field of RunConfig.

    >>> panel_of("lr")
    'Optimization'
    """
    return next((panel for panel, names in PANELS.items() if name in names), None)


class PanelCommand(TyperCommand):
    """A command whose help lists its arguments, and then its options by panel.

    Typer's own panels are boxes of rich, which cost lines and the width of a terminal.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each panel, in the order of the panels of fields; those of the command come first."""
        order = [OTHER, RUN, EVALUATION, ENGINE, *PANELS]
        shown = [(_title(each), each.get_help_record(ctx)) for each in self.get_params(ctx)]
        rows = sorted(
            ((title, record) for title, record in shown if record is not None),
            key=lambda row: order.index(row[0]) if row[0] in order else -1,
        )
        for title, group in groupby(rows, key=lambda row: row[0]):
            with formatter.section(title):
                formatter.write_dl([record for _, record in group])


def _title(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return (parameter.rich_help_panel if isinstance(parameter, TyperOption) else None) or OTHER
