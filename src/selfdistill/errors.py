"""The one error that a user can cause."""


class UserError(ValueError):
    """A mistake that the caller can mend; its text says what was found, what was wanted, and the way out."""
