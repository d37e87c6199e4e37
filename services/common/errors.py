"""The three kinds of error. What to do about one follows from its class alone."""

from typing import Any


class MicroexError(Exception):
    """An error with context: keyword arguments are shown after the text and logged as fields.

    exit_code: what a command exits with when this reaches it.
    """

    exit_code = 1

    def __init__(self, text: str, **context: Any) -> None:
        super().__init__(text)
        self.text = text
        self.context = context

    def __str__(self) -> str:
        details = ", ".join(f"{key}={value!r}" for key, value in self.context.items())
        return f"{self.text} ({details})" if details else self.text


class Retryable(MicroexError):
    """It may work later: wait and try again. A broker that is away, a queue that is full."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class Poison(MicroexError):
    """This one message or file can never be processed: put it aside with all its details and go on."""

    exit_code = 65  # EX_DATAERR


class Fatal(MicroexError):
    """Nothing can be done until somebody changes something: stop, and say what."""

    exit_code = 78  # EX_CONFIG
