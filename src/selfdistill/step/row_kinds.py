"""Choice of the rows of a loss: examples, pixels or tags."""

from typing import Literal

from selfdistill.errors import UserError
from selfdistill.features import Anatomy
from selfdistill.method import Method
from selfdistill.step.pixels import PixelRows
from selfdistill.step.rows import ExampleRows
from selfdistill.step.tags import TagRows

RowKind = Literal["examples", "pixels", "tags"]
KINDS: dict[str, type[ExampleRows]] = {"examples": ExampleRows, "pixels": PixelRows, "tags": TagRows}


def make_rows(anatomy: Anatomy, method: Method, kind: RowKind | None = None) -> ExampleRows:
    """Make the rows of a model: pixels for maps of logits, else examples unless `kind` is "tags".

    Raises `UserError` for a kind that the model or the method does not have.
    """
    if kind is not None and kind not in KINDS:
        raise UserError(f"rows must be one of {', '.join(map(repr, KINDS))}, but is {kind!r}")
    found = kind or ("pixels" if anatomy.dense else "examples")
    if anatomy.dense != (found == "pixels"):
        raise UserError(
            f"rows={found!r} does not fit {anatomy.model}, whose logits are {[*anatomy.logits]}: maps of logits "
            "[B, C, H, W] classify pixels, and logits [B, C] examples or tags"
        )
    if found == "pixels" and method.mixing is not None:
        raise UserError(f"{method.text} mixes images, which have a label for each pixel here; use another method")
    return KINDS[found](anatomy)
