"""Classes of a data set that are left out by ?skip=CLASS,CLASS."""

from collections.abc import Collection

from selfdistill.errors import UserError

BACKGROUND = "BACKGROUND_Google"  # beside the 101 classes of Caltech-101, though none of them
NAMED = 5  # classes that a message names


def parse_skip(text: str | None) -> tuple[str, ...]:
    """Parse "CLASS,CLASS"; None skips none.

    >>> parse_skip("none, other")
    ('none', 'other')
    """
    return tuple(each.strip() for each in (text or "").split(",") if each.strip())


def require_skippable(skipped: Collection[str], classes: Collection[str], where: str) -> None:
    """Raise `UserError` for a class to skip that is not there."""
    if strange := [each for each in skipped if each not in classes]:
        more = ", …" if len(classes) > NAMED else ""
        raise UserError(
            f"{where!r} has no class {strange[0]!r} to skip; it has {', '.join(sorted(classes)[:NAMED])}{more}"
        )


def background_note(where: str, classes: Collection[str]) -> tuple[str, ...]:
    """Return a sentence on the background of Caltech-101, if it is among the classes."""
    if BACKGROUND not in classes:
        return ()
    return (f"{where} has {BACKGROUND}, no class of Caltech-101; leave it out by ?skip={BACKGROUND}",)
