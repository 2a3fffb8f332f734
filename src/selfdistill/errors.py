"""The one error that a user can cause, and the end that a user can wish for."""


class UserError(ValueError):
    """A mistake that the caller can mend; its text says what was found, what was wanted, and the way out."""


class Interrupted(BaseException):
    """A signal ended a run between two steps, after all was saved; its text says how to go on.

    No `Exception`, as KeyboardInterrupt is none: what goes on after errors must not go on after it.
    """

    def __init__(self, number: int, text: str):
        super().__init__(text)
        self.number = number  # of the signal
