"""What a method is: terms and what they need, added by `+`, written as an expression."""

from selfdistill.method.method import Method

__all__ = ["Method"]
