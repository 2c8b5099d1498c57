"""Compile Python loops to machine code with Numba; importing the module without Numba is an ImportError."""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def machine_code(**options: Any) -> Callable[[Function], Function]:
    """Make a decorator that compiles a function of arrays and numbers when it is first called.

    The compiled function releases the GIL. It is cached on disk for the next process where a folder for it
    can be written.

    Args:
        options: Keyword arguments of `numba.njit`.
    """

    def compiled(function: Function) -> Function:
        try:
            return njit(nogil=True, cache=True, **options)(function)
        except RuntimeError as error:
            # files can be written neither beside the source nor in the user's home
            if "cannot cache" not in str(error):
                raise
            return njit(nogil=True, **options)(function)

    return compiled
