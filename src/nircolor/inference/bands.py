"""Which of a file's bands a model sees."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nircolor.errors import NircolorError
from nircolor.modelfile import Band, Card

# wavelengths in files are rounded, often to 1 nm
_ROUNDING_NM = 0.5


def match_bands(card: Card, wavelengths_nm: Sequence[float | None], name: str) -> NDArray[np.float32]:
    """Mix a file's bands into the model's: a matrix (model's bands, file's bands), rows summing to 1.

    A narrow band takes the file's nearest line within the card's tolerance. A broad one takes the mean of all
    lines within its width, or the nearest where none lies there. A file without wavelengths must have exactly
    the model's bands, in its order.

    Args:
        card: of the model.
        wavelengths_nm: of the file's bands, None where unknown.
        name: of the file, for messages.

    Raises:
        NircolorError: a band is missing; the message lists what the file has.
    """
    known = [nm for nm in wavelengths_nm if nm is not None]
    if not known:
        if len(wavelengths_nm) != len(card.bands):
            raise NircolorError(
                f"{name}: expected {describe_bands(card)} for model {card.name}, got "
                f"{len(wavelengths_nm)} bands without wavelengths (name that of each: --bands 780,850,…)"
            )
        return np.eye(len(card.bands), dtype=np.float32)
    return np.stack([_mixture(band, wavelengths_nm, card, name) for band in card.bands])


def describe_bands(card: Card) -> str:
    """The model's bands in words: ``1 band (850 nm, 250 nm wide)``."""
    parts = [f"{b.center_nm:g} nm" + (f", {b.fwhm_nm:g} nm wide" if b.is_broad else "") for b in card.bands]
    return f"{len(parts)} band{'s'[: len(parts) > 1]} ({'; '.join(parts)})"


def _mixture(
    band: Band, wavelengths_nm: Sequence[float | None], card: Card, name: str
) -> NDArray[np.float32]:
    distances = np.array([np.inf if nm is None else abs(nm - band.center_nm) for nm in wavelengths_nm])
    chosen = distances <= band.fwhm_nm / 2 if band.is_broad else np.zeros(len(distances), bool)
    nearest = int(distances.argmin())
    if distances[nearest] <= band.tolerance_nm + _ROUNDING_NM:
        chosen[nearest] = True
    if not chosen.any():
        raise NircolorError(
            f"{name}: expected a band at {band.center_nm:g} ± {band.tolerance_nm:g} nm "
            f"for model {card.name}, got {_listing(wavelengths_nm)}"
        )
    return (chosen / chosen.sum()).astype(np.float32)


def _listing(wavelengths_nm: Sequence[float | None]) -> str:
    texts = ["unknown" if nm is None else f"{nm:g}" for nm in wavelengths_nm]
    if len(texts) > 12:
        texts = [*texts[:5], "…", *texts[-5:]]
    return f"{len(wavelengths_nm)} bands at {', '.join(texts)} nm"
