"""Exception and warning for mistakes in the user's input, each with a one-line message."""


class NircolorError(Exception):
    """Error in the user's input. The message is one line: the file, what was expected and what was found.

    The command line prints the message without a traceback and exits with code 2; in a batch the other
    files continue and the exit code is 1.
    """


class NircolorWarning(UserWarning):
    """Doubt about the user's input that does not stop the work. The command line prints it in one line."""


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type where the message is empty."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
