"""Parts of messages: counts with their noun, and lists of which only some items are named."""

from collections.abc import Sequence


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
