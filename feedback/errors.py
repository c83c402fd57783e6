"""One root error and a few children. The service maps each to a status code once; the command line
prints the sentence. A message says what was found, what was expected and what to do.
"""


class UnderstudyError(Exception):
    """Anything Understudy refuses or cannot do, in a sentence meant for a person."""


class Invalid(UnderstudyError):
    """The input breaks a rule; nothing was stored."""


class Unauthenticated(UnderstudyError):
    """No key, or one that is unknown or revoked."""


class Denied(UnderstudyError):
    """The caller's role or assistant does not allow this."""


class NotFound(UnderstudyError):
    """No such thing, or none that this caller may see."""


class Conflict(UnderstudyError):
    """The thing is in a state that does not allow this now."""


class TooMany(UnderstudyError):
    """More in a short time than one client may do; waiting helps."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(UnderstudyError):
    """A part this needs is down; nothing is lost and a retry is worthwhile."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
