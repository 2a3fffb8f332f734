"""Cross-entropy alone: what every method is measured against."""

from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor


@method_constructor
def ce() -> Method:
    """Plain cross-entropy with the labels."""
    return Method()
