"""Parts of messages: counts with their noun, and short lists of items and file names."""

import os
import re
from collections.abc import Iterable, Sequence


def count_of(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural unless the count is 1.

    Example:
        >>> count_of(1, "image"), count_of(0, "image")
        ('1 image', '0 images')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def abbreviate(items: Sequence[str], first: int, last: int = 0) -> str:
    """Join items with commas; of longer lists only the first and the last items.

    Args:
        items: The items.
        first: Number of items to name at the start.
        last: Number of items to name at the end.

    Example:
        >>> abbreviate(["a", "b", "c"], 3), abbreviate(["a", "b", "c"], 2), abbreviate(list("abcde"), 1, 1)
        ('a, b, c', 'a, b, …', 'a, …, e')
    """
    if len(items) > first + last:
        items = [*items[:first], "…", *items[len(items) - last :]]
    return ", ".join(items)


def list_names(names: Iterable[str]) -> str:
    """Join file names with commas, all of them; three or more with consecutive numbers become a range.

    Example:
        >>> list_names(["b.png", "a_8.png", "a_10.png", "a_9.png", "a_12.png"])
        'a_8.png to a_10.png, a_12.png, b.png'
    """
    numbered = sorted(_split_number(name) for name in names)
    runs: list[list[str]] = []
    following = ""
    for prefix, ending, number, digits in numbered:
        name = f"{prefix}{digits}{ending}"
        if name != following:
            runs.append([])
        runs[-1].append(name)
        following = f"{prefix}{number + 1:0{len(digits)}}{ending}" if digits else ""
    return ", ".join(f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def _split_number(name: str) -> tuple[str, str, int, str]:
    """Split a name around the last number before its extension: text before and after, number, digits."""
    stem, extension = os.path.splitext(name)  # noqa: PTH122 - a path drops ./
    found = re.fullmatch(r"(.*?)([0-9]{1,18})(\D*)", stem, re.DOTALL)
    if found is None:
        return name, "", 0, ""
    return found[1], found[3] + extension, int(found[2]), found[2]
