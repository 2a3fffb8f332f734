"""Cross-entropy alone: the baseline of every comparison."""

from selfdistill.method import Method
from selfdistill.method.constructor import method_constructor


@method_constructor
def ce() -> Method:
    """Plain cross-entropy with the labels.

    >>> from selfdistill.methods import ce
    >>> print(ce().weights)
    {'task': 1.0}
    """
    return Method()
