"""Cross-entropy alone: what every method is measured against."""

from selfdistill.method import Method
from selfdistill.method.constructor import recipe


@recipe
def ce() -> Method:
    """Plain cross-entropy with the labels."""
    return Method()
