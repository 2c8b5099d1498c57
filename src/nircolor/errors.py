"""The one exception for a user's mistake: a line that says which file, what was expected, what was got."""


class NircolorError(Exception):
    """A mistake in the input, not in nircolor; its text is one complete line for the user.

    The command line prints it without a traceback and exits with code 2 (code 1 in a batch whose
    other files went on).
    """


def first_line(error: BaseException) -> str:
    """What another library's error says, short enough for a line of ours."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class NircolorWarning(UserWarning):
    """A doubt about the input that does not stop the work; the command line prints its text once."""
