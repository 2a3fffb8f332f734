"""`UserError` and `Interrupted`."""


class UserError(ValueError):
    """An error that the caller can fix; its text says what was found, what was expected, and how to fix it.

    >>> sd.methods.drg(alpha=-1.0)
    Traceback (most recent call last):
    selfdistill.errors.UserError: drg: alpha must be a number of 0 or more, but is -1.0
    """


class Interrupted(BaseException):
    """A signal ended a run between two steps, after its state was saved; its text says how to resume.

    Like KeyboardInterrupt it is no `Exception`, so code that continues after errors does not continue after it.
    """

    def __init__(self, number: int, text: str):
        super().__init__(text)
        self.number = number  # of the signal
