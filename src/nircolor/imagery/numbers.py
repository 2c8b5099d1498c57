"""Parse numbers in metadata."""

import math


def finite_number(text: str | None) -> float | None:
    """Parse a tag as a finite number; return None for anything else."""
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def positive_number(text: str | None) -> float | None:
    """Parse a tag as a finite number above 0; return None for anything else."""
    value = finite_number(text)
    return value if value is not None and value > 0 else None
