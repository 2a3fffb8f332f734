"""Choice of the rows of a loss: examples, pixels, tokens or tags."""

from typing import Literal

from selfdistill.errors import UserError
from selfdistill.features import Anatomy
from selfdistill.method import Method
from selfdistill.step.pixels import PixelRows
from selfdistill.step.rows import ExampleRows
from selfdistill.step.tags import TagRows
from selfdistill.step.tokens import TokenRows

RowKind = Literal["examples", "pixels", "tokens", "tags"]
KINDS: dict[str, type[ExampleRows]] = {
    "examples": ExampleRows,
    "pixels": PixelRows,
    "tokens": TokenRows,
    "tags": TagRows,
}
FITTING = {2: ("examples", "tags"), 3: ("tokens",), 4: ("pixels",)}  # by number of dimensions of the logits


def make_rows(anatomy: Anatomy, method: Method, kind: RowKind | None = None) -> ExampleRows:
    """Make the rows of a model: tokens or pixels for logits of each, else examples unless `kind` is "tags".

    Raises `UserError` for a kind that the model or the method does not have.
    """
    if kind is not None and kind not in KINDS:
        raise UserError(f"rows must be one of {', '.join(map(repr, KINDS))}, but is {kind!r}")
    fitting = FITTING[len(anatomy.logits)]
    found = kind or fitting[0]
    if found not in fitting:
        raise UserError(
            f"rows={found!r} does not fit {anatomy.model}, whose logits are {[*anatomy.logits]}: maps of logits "
            "[B, C, H, W] classify pixels, logits [B, N, C] tokens, and logits [B, C] examples or tags"
        )
    if anatomy.dense and method.mixing is not None:
        one = found.removesuffix("s")
        raise UserError(f"{method.text} mixes inputs, which have a label for each {one} here; use another method")
    return KINDS[found](anatomy)
