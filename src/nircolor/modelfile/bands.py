"""Match the bands of a file to those of a model by wavelength."""

from collections.abc import Sequence

import numpy as np

from nircolor.arrays import Floats
from nircolor.errors import NircolorError
from nircolor.modelfile.card import Band

# wavelengths in files are rounded, often to 1 nm
_ROUNDING_NM = 0.5


def match_bands(
    bands: Sequence[Band], wavelengths_nm: Sequence[float | None], name: str, wanted_by: str
) -> Floats:
    """Compute the weights that mix the bands of a file into the wanted bands.

    A narrow band takes the file's nearest band within its tolerance. A broad band takes the mean of all the
    file's bands within its width, or the nearest one within its tolerance where there is none. A file without
    wavelengths must have exactly the wanted bands, in their order.

    Args:
        bands: Wanted bands.
        wavelengths_nm: Wavelengths of the file's bands in nm, None where unknown.
        name: Name of the file, for messages.
        wanted_by: What the bands are for, for messages: ``model scene``.

    Returns:
        (wanted bands, file's bands) float32; each row sums to 1.

    Raises:
        NircolorError: A band is missing; the message lists the bands of the file.

    Examples:
        >>> match_bands([Band(center_nm=850, fwhm_nm=10, tolerance_nm=10)], [660, 848], "a.tif", "model a")
        array([[0., 1.]], dtype=float32)
    """
    known = [nm for nm in wavelengths_nm if nm is not None]
    if not known:
        if len(wavelengths_nm) != len(bands):
            raise NircolorError(
                f"{name}: expected {describe_bands(bands)} for {wanted_by}, got "
                f"{_count(len(wavelengths_nm))} without wavelengths (name that of each: --bands 780,850,…)"
            )
        return np.eye(len(bands), dtype=np.float32)
    return np.stack([_weights(band, wavelengths_nm, name, wanted_by) for band in bands])


def describe_bands(bands: Sequence[Band]) -> str:
    """Describe bands in words.

    Examples:
        >>> describe_bands([Band(center_nm=850, fwhm_nm=250, tolerance_nm=125)])
        '1 band (850 nm, 250 nm wide)'
    """
    parts = [f"{b.center_nm:g} nm" + (f", {b.fwhm_nm:g} nm wide" if b.is_broad else "") for b in bands]
    return f"{_count(len(parts))} ({'; '.join(parts)})"


def _weights(band: Band, wavelengths_nm: Sequence[float | None], name: str, wanted_by: str) -> Floats:
    """Weights (file's bands,) of one wanted band."""
    distances = np.array([np.inf if nm is None else abs(nm - band.center_nm) for nm in wavelengths_nm])
    chosen = distances <= band.fwhm_nm / 2 if band.is_broad else np.zeros(len(distances), bool)
    nearest = int(distances.argmin())
    if distances[nearest] <= band.tolerance_nm + _ROUNDING_NM:
        chosen[nearest] = True
    if not chosen.any():
        raise NircolorError(
            f"{name}: expected a band at {band.center_nm:g} ± {band.tolerance_nm:g} nm "
            f"for {wanted_by}, got {_listing(wavelengths_nm)}"
        )
    return (chosen / chosen.sum()).astype(np.float32)


def _listing(wavelengths_nm: Sequence[float | None]) -> str:
    texts = ["unknown" if nm is None else f"{nm:g}" for nm in wavelengths_nm]
    if len(texts) > 12:
        texts = [*texts[:5], "…", *texts[-5:]]
    return f"{_count(len(wavelengths_nm))} at {', '.join(texts)} nm"


def _count(bands: int) -> str:
    return f"{bands} band{'s'[: bands != 1]}"
