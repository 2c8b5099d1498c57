"""Python loops to machine code, by Numba; whoever imports this does without where Numba is not installed."""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def machine_code(**options: Any) -> Callable[[Function], Function]:
    """Decorate a function of arrays and numbers to be compiled when it is first called, with Numba's options.

    It lets other threads run, and is kept for the next process where there is a place to keep it.
    """

    def compiled(function: Function) -> Function:
        try:
            return njit(nogil=True, cache=True, **options)(function)
        except RuntimeError as error:
            # neither beside the source nor in the user's home may files be written
            if "cannot cache" not in str(error):
                raise
            return njit(nogil=True, **options)(function)

    return compiled
