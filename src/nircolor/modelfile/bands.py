"""Match the bands of a file to those of a model by wavelength."""

import warnings
from collections.abc import Sequence

import numpy as np

from nircolor.arrays import Floats
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import Raster
from nircolor.imagery.bands.sensors import ROLE_RANGES_NM, TYPICAL_NM, is_generic, possible_sensors, role_of
from nircolor.modelfile.card import Band
from nircolor.texts import abbreviate, count_of

# wavelengths in files are rounded, often to 1 nm
_ROUNDING_NM = 0.5
# times the width at half maximum: where a Gaussian has fallen to a thousandth, as in `spectral.weights`, and
# the largest distance of bands that sample it
_REACH, _WIDEST_GAP = 1.58, 0.6


def match_bands(
    bands: Sequence[Band],
    wavelengths_nm: Sequence[float | None],
    name: str,
    wanted_by: str,
    names: Sequence[str | None] = (),
) -> Floats:
    """Compute the weights that mix the bands of a file into the wanted bands.

    A narrow band takes the file's nearest band within its tolerance; of a hyperspectral file, whose bands
    lie closer than its width, a Gaussian mean of that width, as training data has it. A broad band takes
    the mean of all the file's bands within its width, or the nearest one within its tolerance where there
    is none. A single broad band also takes those that are called near-infrared, where no band has a
    wavelength. Any other file without wavelengths must have exactly the wanted bands, in their order. Names
    must not contradict them; of several bands they must be generic ("Band 1", "gray") or tell the role of
    one, since others may belong to another order.

    Args:
        bands: Wanted bands.
        wavelengths_nm: Wavelengths of the file's bands in nm, None where unknown.
        name: Name of the file, for messages.
        wanted_by: What the bands are for, for messages: ``model scene``.
        names: Names of the file's bands, None where unknown.

    Returns:
        (wanted bands, file's bands) float32; each row sums to 1.

    Raises:
        NircolorError: A band is missing; the message lists the bands of the file.

    Examples:
        >>> match_bands([Band(center_nm=850, fwhm_nm=10, tolerance_nm=10)], [660, 848], "a.tif", "model a")
        array([[0., 1.]], dtype=float32)
    """
    names = names or [None] * len(wavelengths_nm)
    if any(nm is not None for nm in wavelengths_nm):
        return np.stack([_weights(band, wavelengths_nm, name, wanted_by, names) for band in bands])
    roles = [role_of(text) for text in names]
    if len(bands) == 1 and bands[0].is_broad and "nir" in roles and _may_be(bands[0], "nir"):
        called = np.array([[role == "nir" for role in roles]], np.float32)
        return called / called.sum()
    in_order = len(bands) == 1 or all(
        is_generic(text, i) or (role is not None and roles.count(role) == 1)
        for i, (text, role) in enumerate(zip(names, roles, strict=True), 1)
    )
    if len(roles) != len(bands) or not in_order or not all(map(_may_be, bands, roles)):
        raise NircolorError(
            f"{name}: expected {describe_bands(bands)} for {wanted_by}, got "
            f"{count_of(len(names), 'band')} without wavelengths{_quoted(names)}{_advice(bands, names)}"
        )
    return np.eye(len(bands), dtype=np.float32)


def match_raster(bands: Sequence[Band], raster: Raster, wanted_by: str) -> Floats:
    """Compute the weights that mix the bands of an open image into the wanted bands, as `match_bands` does.

    Args:
        bands: Wanted bands.
        raster: The image.
        wanted_by: What the bands are for, for messages.

    Returns:
        (wanted bands, image's bands) float32; each row sums to 1.

    Raises:
        NircolorError: A band is missing; the message lists the bands of the image, and those that its
            metadata lists but that are not there.

    Warns:
        NircolorWarning: Bands of a camera with several lenses, which show different places in a pixel, are
            used together.
    """
    try:
        mixture = match_bands(bands, raster.wavelengths_nm, str(raster.path), wanted_by, raster.names)
    except NircolorError as error:
        if not raster.missing:
            raise
        raise NircolorError(f"{error}; missing or damaged: {abbreviate(raster.missing, 3)}") from error
    if not raster.is_registered:
        mixture = np.stack([_of_one_lens(*one, raster) for one in zip(bands, mixture, strict=True)])
    if not raster.is_registered and mixture.any(0).sum() > 1:
        problem = (
            "the lenses of the camera show different places in a pixel, and the bands are not aligned: "
            "colours may have fringes; align the bands first"
        )
        warnings.warn(NircolorWarning(problem, path=raster.path), stacklevel=3)
    return mixture


def _of_one_lens(band: Band, weights: Floats, raster: Raster) -> Floats:
    """Keep the nearest of the bands that make a broad one: a mean of two lenses shows everything twice."""
    used = np.flatnonzero(weights)
    distances = [abs((raster.wavelengths_nm[i] or band.center_nm) - band.center_nm) for i in used]
    only = np.zeros_like(weights)
    only[used[int(np.argmin(distances))]] = 1
    return only


def describe_bands(bands: Sequence[Band]) -> str:
    """Describe bands in words.

    Examples:
        >>> describe_bands([Band(center_nm=850, fwhm_nm=250, tolerance_nm=125)])
        '1 band (850 nm, 250 nm wide)'
    """
    parts = [f"{b.center_nm:g} nm" + (f", {b.fwhm_nm:g} nm wide" if b.is_broad else "") for b in bands]
    return f"{count_of(len(parts), 'band')} ({'; '.join(parts)})"


def _weights(
    band: Band,
    wavelengths_nm: Sequence[float | None],
    name: str,
    wanted_by: str,
    names: Sequence[str | None],
) -> Floats:
    """Weights (file's bands,) of one wanted band."""
    distances = np.array([np.inf if nm is None else abs(nm - band.center_nm) for nm in wavelengths_nm])
    chosen = distances <= band.fwhm_nm / 2 if band.is_broad else np.zeros(len(distances), bool)
    nearest = int(distances.argmin())
    sampled = _gaussian(band, wavelengths_nm) if distances[nearest] <= band.tolerance_nm else None
    if sampled is not None and not band.is_broad:
        return sampled
    if distances[nearest] <= band.tolerance_nm + _ROUNDING_NM:
        chosen[nearest] = True
    if not chosen.any():
        raise NircolorError(
            f"{name}: expected a band at {band.center_nm:g} ± {band.tolerance_nm:g} nm "
            f"for {wanted_by}, got {_listing(wavelengths_nm)}{_quoted(names)}"
        )
    return (chosen / chosen.sum()).astype(np.float32)


def _gaussian(band: Band, wavelengths_nm: Sequence[float | None]) -> Floats | None:
    """Weights (file's bands,) of a Gaussian response, as of training data that is made from captures.

    The nearest band of a hyperspectral camera alone would be noisier than what the model was trained on.

    Returns:
        The weights, or None where the file's bands do not sample the width of the wanted band.
    """
    nm = np.array([np.inf if nm is None else nm for nm in wavelengths_nm], np.float64)
    reach = _REACH * band.fwhm_nm
    grid = np.arange(np.ceil(band.center_nm - reach), band.center_nm + reach)
    inside = np.flatnonzero((nm >= grid[0]) & (nm <= grid[-1]))
    inside = inside[np.argsort(nm[inside])]
    at_nm = nm[inside]
    half = band.fwhm_nm / 2
    if len(at_nm) < 3 or at_nm[0] > band.center_nm - half or at_nm[-1] < band.center_nm + half:
        return None
    gaps = np.diff(at_nm)
    if gaps.max() > _WIDEST_GAP * band.fwhm_nm or gaps.min() <= 0:
        return None
    response = np.exp(-4 * np.log(2) * ((grid - band.center_nm) / band.fwhm_nm) ** 2)
    weights = np.zeros(len(nm))
    # between neighbouring bands the spectrum is taken as a straight line
    weights[inside] = [response @ np.interp(grid, at_nm, unit) for unit in np.eye(len(at_nm))]
    return (weights / weights.sum()).astype(np.float32)


def _listing(wavelengths_nm: Sequence[float | None]) -> str:
    texts = ["unknown" if nm is None else f"{nm:g}" for nm in wavelengths_nm]
    return f"{count_of(len(texts), 'band')} at {abbreviate(texts, 5, 5)} nm"


def _may_be(band: Band, role: str | None) -> bool:
    """Whether a band of a file with this role, or of an unknown one, may be the wanted band."""
    if role is None:
        return True
    lowest, highest = ROLE_RANGES_NM[role]
    return lowest <= band.center_nm <= highest


def _quoted(names: Sequence[str | None]) -> str:
    if not any(names):
        return ""
    texts = ["?" if name is None else name[:40] for name in names]
    return f" ({abbreviate(texts, 5, 5)})"


def _advice(bands: Sequence[Band], names: Sequence[str | None]) -> str:
    """Return the options that name the bands of a file, to be pasted where its bands suggest them."""
    roles = [role_of(name) for name in names]
    if len(roles) < len(bands):
        return ""
    sensors = possible_sensors(names) if len(names) > 1 else {}
    if sensors:
        options = (
            f"of {name} --bands {','.join(f'{nm:g}' for nm in found)}" for name, found in sensors.items()
        )
        return f"; name the wavelength of each: if they are {', '.join(options)}"
    unknown = [i for i, role in enumerate(roles) if role is None]
    if len(unknown) == 1 and "nir" not in roles:  # red, green, blue and one more
        roles = ["nir" if role is None else role for role in roles]
    every = ",".join(str(TYPICAL_NM[role]) for role in roles if role in TYPICAL_NM)
    complete = len(roles) <= 12 and all(role in TYPICAL_NM for role in roles)
    all_of_them = f"--bands {every if complete and len(roles) > 1 else '780,850,…'}"
    if len(bands) > 1:
        numbered = ",".join(f"{band.center_nm:g}={i}" for i, band in enumerate(bands, 1))
        return f"; name the wavelength of each, such as {all_of_them}, or of some, such as --bands {numbered}"
    number = roles.index("nir") + 1 if "nir" in roles else len(roles)
    if len(roles) == 1:
        return "; if it is near-infrared all the same, --bands 850"
    return (
        f"; name the near-infrared one, such as --bands nir={number}, or the wavelength of each, such as "
        f"{all_of_them}"
    )
