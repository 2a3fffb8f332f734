"""Words for sentences."""

from collections.abc import Sequence

from markupsafe import Markup


def code(text: str) -> Markup:
    """A method as it is typed."""
    return Markup("<code>{}</code>").format(text)


def listed(parts: Sequence[Markup]) -> Markup:
    """Parts as a sentence lists them."""
    if len(parts) < 2:
        return Markup("").join(parts)
    return Markup("{} and {}").format(Markup(", ").join(parts[:-1]), parts[-1])


def count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
