"""Meaning of band names: words such as "Near Infrared", texts such as "850 nm", names of known sensors."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

# centre wavelengths in nm that belong to a role; a name such as "NIR 850" counts only within them
ROLE_RANGES_NM = {
    "coastal": (400, 460), "blue": (400, 520), "green": (490, 600), "yellow": (560, 625), "red": (600, 705),
    "red edge": (680, 800), "nir": (700, 1400), "pan": (480, 700), "swir": (1000, 3000),
    "cirrus": (1300, 1450), "thermal": (3000, 20000), "index": (0, 0), "quality": (0, 0),
    "elevation": (0, 0),
}  # fmt: skip
# examples for messages, where only the role is known
TYPICAL_NM = {
    "coastal": 443, "blue": 480, "green": 560, "yellow": 600, "red": 660, "red edge": 720, "nir": 842,
    "swir": 1610, "cirrus": 1375, "thermal": 10900,
}  # fmt: skip

# in this order: "red edge" and "near infra red" contain "red"
_ROLE_WORDS = {
    "nir": r"near[\s_-]*(?:infra[\s_-]*red|ir)|"
    r"nir(?:[\s_-]*(?:narrow|broad|0?\d))?(?!\d)|nir(?=[\s_-]*\d{3})",
    "swir": r"swir[\s_-]*\d{0,2}|short[\s_-]*wave(?:length)?[\s_-]*(?:infra[\s_-]*red|ir)",
    "thermal": r"[lmt]wir\d*|tirs?\d*|thermal(?:[\s_-]*(?:infra[\s_-]*red|ir))?|"
    r"st[\s_-]b\d+|(?:surface|brightness)[\s_-]temp(?:erature)?|temperature|lst",
    "red edge": r"(?:vegetation[\s_-]*)?red[\s_-]*edge[\s_-]*\d{0,2}|re[\s_-]?\d?(?!\d)",
    "coastal": r"coastal(?:[\s_-]*(?:aerosol|blue))?|ultra[\s_-]*blue",
    "cirrus": r"cirrus",
    "index": r"[gr]?ndvi|ndwi|mndwi|ndre|nbr|ndbi|ndsi|ndmi|e?vi2?|m?savi2?|nirv",
    "quality": r"(?:qa|qc|bqa|pixel[\s_-]qa)(?:[\s_-](?:pixel|radsat|aerosol|60|10|20))?|"
    r"scl|fmask|udm2?|cloud[\s_-]*mask|sr[\s_-]cloud[\s_-]qa|scene[\s_-]classification",
    "elevation": r"dem|dsm|dtm|elevation",
    "pan": r"pan(?:chromatic)?",
    "blue": r"blue", "green": r"green(?:[\s_-]*i{1,2})?", "yellow": r"yellow", "red": r"red",
}  # fmt: skip
_ROLES = {
    role: re.compile(rf"(?<![a-z])(?:{words})(?![a-z])", re.IGNORECASE) for role, words in _ROLE_WORDS.items()
}
# words that may stand beside a wavelength or a colour without changing its meaning
_NOISE = re.compile(
    r"(?<![a-z])(?:bands?|channels?|ch|cam(?:era)?|image|filter|layer|page|plane|slice|wavelengths?|wl|lambda|"
    r"cent(?:er|re)|central|cwl|reflectance|radiance|surface|sr|ms|multispectral|b|c|at|of|the)(?![a-z])",
    re.IGNORECASE,
)

# longer texts are no names, and would take the expressions long
_MAX_PLAIN, _MAX_TEXT = 100, 300
_NM_PER_UNIT = {"n": 1.0, "u": 1000.0, "μ": 1000.0, "m": 1000.0, "å": 0.1, "a": 0.1}
_UNIT = r"(nm|nano\s?met(?:er|re)s?|[uμ]m|microns?|micro\s?met(?:er|re)s?|å|angstr[oö]ms?)(?![a-zμ])"
_NUMBER = r"(\d{1,6}(?:\.\d+)?)"
_RANGE = re.compile(
    rf"(?<![a-z\d.]){_NUMBER}\s*(?:nm|[uμ]m)?\s*(?:-|–|—|to|…)\s*{_NUMBER}\s*{_UNIT}", re.IGNORECASE
)
_SINGLE = re.compile(
    rf"(?<![\d.]){_NUMBER}(?:\s*\(?\s*(?:\+/?-|±)\s*\d+(?:\.\d+)?\s*\)?)?\s*{_UNIT}", re.IGNORECASE
)
_DECIMAL_COMMA = re.compile(rf"(?<![\d,.])(\d{{1,4}}),(\d{{1,3}})(?=\s*{_UNIT})", re.IGNORECASE)
_EXPONENT = re.compile(rf"(?<![\w.])\d(?:\.\d{{1,6}})?e[+]?[0-5](?=\s*{_UNIT})", re.IGNORECASE)
# the width of a band beside its centre
_WIDTH = re.compile(
    rf"(?:fwhm|band\s?width)\s*[=:]?\s*{_NUMBER}\s*{_UNIT}|{_NUMBER}\s*{_UNIT}\s*(?:fwhm|band\s?width|wide)"
    r"(?![a-z])",
    re.IGNORECASE,
)
_NUMBER_ALONE = re.compile(r"[Rρ]?[ _]?(\d{3,4}(?:[.,]\d{1,4})?)")
_GENERIC = re.compile(
    r"(?:(?:bands?|channels?|ch|layer|page|plane|slice|image|b)?[\s_#:-]*0*(\d{1,4}))?|"
    r"gr[ae]y|undefined|unknown|alpha",
    re.IGNORECASE,
)
_BARE = re.compile(r"(?<![\d.])\d{3,4}(?:\.\d+)?(?![\d.])")
# the wavelength is not the centre of the band, or no wavelength of light at all
_NOT_A_CENTRE = re.compile(
    r"long[\s_-]*pass|short[\s_-]*pass|cut[\s_-]*o|(?<![a-z])cut(?![a-z])|\d\s*[ls]p(?![a-z])|[<>]|above|below|"
    r"pixel|(?<![a-z])px(?![a-z])|resolution|thick|step|fwhm|width|nm\s*/|nm per",
    re.IGNORECASE,
)


def role_of(name: str | None) -> str | None:
    """Return the role that a band name states, a key of `ROLE_RANGES_NM`; None for none or several.

    Example:
        >>> role_of("Band 4 - Near Infrared"), role_of("NIR2"), role_of("Red Edge 1"), role_of("T11")
        ('nir', 'nir', 'red edge', None)
    """
    rest, found = (name or "")[:_MAX_TEXT], []
    for role, pattern in _ROLES.items():
        rest, count = pattern.subn(" ", rest)
        if count:
            found.append(role)
    return found[0] if len(found) == 1 else None


def is_plain(text: str) -> bool:
    """Return whether a text holds a role or wavelengths, and nothing else of meaning.

    Descriptions of images are free text; in "Red River, 550 nm per pixel" nothing names a band.

    Example:
        >>> is_plain("NIR (850 nm)"), is_plain("Red River")
        (True, False)
    """
    if len(text) > _MAX_PLAIN:
        return False
    text = unicodedata.normalize("NFKC", text)
    rest = _SINGLE.sub(" ", _RANGE.sub(" ", text))
    for pattern in (*_ROLES.values(), _NOISE):
        rest = pattern.sub(" ", rest)
    return rest != text and not re.search(r"[^\W\d_]", rest)


def wavelength_in(text: str | None) -> float | None:
    """Return the one centre wavelength in nm, 200 to 20,000, that a text states; of a range its middle.

    Widths of bands are below 200 nm and left out. A number without a unit counts beside a role in whose range
    it lies. Cut-off wavelengths of filters are no centres.

    Example:
        >>> wavelength_in("NIR (850 Nanometers)"), wavelength_in("0.85 um"), wavelength_in("770-810 nm")
        (850.0, 850.0, 790.0)
        >>> wavelength_in("NIR 840"), wavelength_in("850(+/-26)nm"), wavelength_in("NIR, 720 nm long pass")
        (840.0, 850.0, None)
    """
    if text is None or len(text) > _MAX_TEXT:
        return None
    text = unicodedata.normalize("NFKC", text).replace("_", " ")
    text = _WIDTH.sub(" ", _DECIMAL_COMMA.sub(r"\1.\2", text))
    text = _EXPONENT.sub(lambda match: f"{float(match[0]):.10g}", text)
    if _NOT_A_CENTRE.search(text):
        return None
    found: list[tuple[float, str]] = []

    def take_range(match: re.Match[str]) -> str:
        low, high = float(match[1]), float(match[2])
        if not low < high < 2.5 * low:  # such as "Band 8 - 842 nm"
            return f" {match[2]} {match[3]}"
        found.append(((low + high) / 2, match[3]))
        return " "

    rest = _RANGE.sub(take_range, text)
    found += [(float(match[1]), match[2]) for match in _SINGLE.finditer(rest)]
    centres = {round(value * _NM_PER_UNIT[unit[0].lower()], 6) for value, unit in found}
    centres = {nm for nm in centres if 200 <= nm <= 20_000}
    if not centres and is_plain(text):
        # "Band 1 (945.0)", as GDAL writes it
        is_numbered = re.fullmatch(r"\s*band \d+\s*\(\s*\d{3,4}(\.\d+)?\s*\)\s*", text, re.IGNORECASE)
        default = (350, 2500) if is_numbered else (1, 0)
        lowest, highest = ROLE_RANGES_NM.get(role_of(text) or "", default)
        if is_numbered:
            text = text.partition("(")[2]
        centres = {nm for nm in map(float, _BARE.findall(text)) if lowest <= nm <= highest}
    return centres.pop() if len(centres) == 1 else None


def wavelengths_in(names: Sequence[str | None]) -> list[float | None]:
    """Return the wavelength in nm that each name states, as `wavelength_in` does.

    Names such as "945" or "R945" count where all bands have such names, in the range of silicon and InGaAs
    cameras, unless they may be years or the numbers of frames.

    Example:
        >>> wavelengths_in(["945", "842"]), wavelengths_in(["2023", "2024"])
        ([945.0, 842.0], [None, None])
    """
    bare = [_NUMBER_ALONE.fullmatch((name or "").strip()) for name in names]
    numbers = [float(match[1].replace(",", ".")) for match in bare if match]
    if numbers and len(numbers) == len(names) == len(set(numbers)):
        are_years = all(number.is_integer() and 1900 <= number <= 2100 for number in numbers)
        are_frames = len(numbers) > 1 and all(b - a == 1 for a, b in pairwise(numbers))
        if all(350 <= number <= 2500 for number in numbers) and not are_years and not are_frames:
            return list(numbers)
    return [wavelength_in(name) for name in names]


def is_generic(name: str | None, position: int) -> bool:
    """Return whether a name tells no more than the 1-based position of its band: "Band 1", "gray", "1".

    Example:
        >>> is_generic("Band 2", 2), is_generic("Band 7", 2), is_generic("T11", 1)
        (True, False, False)
    """
    match = _GENERIC.fullmatch((name or "").strip())
    return match is not None and (match[1] is None or int(match[1]) in (position, position - 1))


def sensor_wavelengths(names: Sequence[str | None], product: str) -> tuple[float | None, ...]:
    """Return the centres in nm of bands whose names state the sensor, else None for all.

    "B5" is near-infrared on Landsat 8 and red edge on Sentinel-2, and "B05" is either in products that
    harmonize them. Such names count only where the product says which it is, or another band decides, such
    as "B8A".

    Args:
        names: the names of all bands.
        product: text that names the product: tags about platform, sensor and camera, and the file name.

    Example:
        >>> sensor_wavelengths(["B04", "B08", "B8A"], ""), sensor_wavelengths(["B4", "B5"], "")
        ((665, 842, 865), (None, None))
        >>> sensor_wavelengths(["SR_B4", "SR_B5"], "LC08_L2SP_193027_20200701_02_T1.tif")
        (655, 865)
    """
    nothing: tuple[None, ...] = (None,) * len(names)
    numbers = [_NUMBERED.match((name or "").strip().lower()) for name in names]
    if any(numbers):
        table = _SATELLITES.get(_satellite([match for match in numbers if match], product) or "", {})
        return tuple(None if match is None else table.get(match[3].lstrip("0")) for match in numbers)
    roles = [role_of(name) for name in names]
    lowered = {" ".join(re.split(r"[\s_]+", name.lower())) for name in names if name}
    if "green i" in lowered and "yellow" in lowered:  # PlanetScope with eight bands
        return tuple(
            531 if name and name.lower().strip() in ("green_i", "green i") else _PLANET.get(role or "")
            for name, role in zip(names, roles, strict=True)
        )
    cameras = [nm for pattern, nm in _CAMERAS if pattern.search(product)]
    # two bands of one role, as of cameras with ten bands, are not distinguished by it
    if len(cameras) != 1 or any(roles.count(role) > 1 for role in roles if role):
        return nothing
    return tuple(cameras[0].get(role or "") for role in roles)


def product_band(file_name: str) -> str | None:
    """Return the name of the band that a file of a satellite product holds, by the name of the file.

    Only whole names in the form of the product count: of Landsat Collection 2, Sentinel-2 and HLS.

    Example:
        >>> product_band("LC09_L2SP_193027_20220701_20220703_02_T1_SR_B5.TIF")
        'SR_B5'
        >>> product_band("T32TMT_20220701T102041_B08_10m.jp2"), product_band("B08.tif")
        ('B08', None)
    """
    match = _BAND_FILE.fullmatch(file_name)
    return None if match is None else next(name for name in match.groups() if name is not None).upper()


def satellite_of(names: Sequence[str | None], product: str) -> str | None:
    """Return "sentinel-2", "landsat 8" or "landsat 4" where band names or the product state it, else None.

    Args:
        names: as for `sensor_wavelengths`.
        product: as for `sensor_wavelengths`.
    """
    numbers = [_NUMBERED.match((name or "").strip().lower()) for name in names]
    return _satellite([match for match in numbers if match], product)


def possible_sensors(names: Sequence[str | None]) -> dict[str, tuple[float, ...]]:
    """Return the centres in nm by satellite, for band names such as "B5" that belong to several.

    Example:
        >>> possible_sensors(["B4", "B5"])["Landsat 8/9"]
        (655, 865)
    """
    numbers = [_NUMBERED.match((name or "").strip().lower()) for name in names]
    codes = [match[3].lstrip("0") for match in numbers if match is not None and match[2] == "b"]
    if len(codes) < len(names):
        return {}
    return {
        _TITLES[sensor]: tuple(table[code] for code in codes)
        for sensor, table in _SATELLITES.items()
        if set(codes) <= table.keys()
    }


_TITLES = {"sentinel-2": "Sentinel-2", "landsat 8": "Landsat 8/9", "landsat 4": "Landsat 4-7"}
_NUMBERED = re.compile(
    r"(?:\d+_)?(sr_|toa_|boa_)?(b|band[ _]?)(\d{1,3}a?)(?:_(?:10|20|60)m)?(?:\s*[-(:,].*)?$"
)
# nominal centres in nm, by the number of the band
_SATELLITES: dict[str, dict[str, float]] = {
    "sentinel-2": {
        "1": 443, "2": 490, "3": 560, "4": 665, "5": 705, "6": 740, "7": 783, "8": 842, "8a": 865, "9": 945,
        "10": 1375, "11": 1610, "12": 2190,
    },
    "landsat 8": {
        "1": 443, "2": 482, "3": 561, "4": 655, "5": 865, "6": 1609, "7": 2201, "8": 590, "9": 1373,
        "10": 10895, "11": 12005,
    },
    "landsat 4": {"1": 485, "2": 560, "3": 660, "4": 835, "5": 1650, "6": 11450, "7": 2220, "8": 710},
}  # fmt: skip
_PRODUCTS = {
    "sentinel-2": r"sentinel[-_ ]?2|(?<![a-z\d])s2[abc]?[_-]|msil[12][ac]|"
    r"(?<![a-z\d])t\d{2}[a-z]{3}_\d{8}t|\.s30\.",
    "landsat 8": r"landsat[-_ ]?[89]|(?<![a-z\d])l[co]0[89]_|oli[-_ ]?tirs|\.l30\.",
    "landsat 4": r"landsat[-_ ]?[457]|(?<![a-z\d])l[te]0[457]_",
}
# names of the scenes of Landsat Collection 2
LANDSAT_SCENE = r"L[CEOT]\d{2}_L[12][A-Z]{2}_\d{6}_\d{8}_\d{8}_\d{2}_(?:T1|T2|RT)"
_BAND_FILE = re.compile(
    rf"(?:{LANDSAT_SCENE}_((?:S[RT]_)?B\d{{1,2}}|(?:S[RT]_)?QA(?:_[A-Z]+)?)(?:_VCID_\d)?"
    r"|(?:L1C_|L2A_)?T\d{2}[A-Z]{3}_\d{8}T\d{6}_(B\d[\dA]|SCL)(?:_[126]0m)?"
    r"|HLS\.[LS]30\.T\d{2}[A-Z]{3}\.\d{7}T\d{6}\.v\d\.\d\.(B\d[\dA]|Fmask))\.(?:tiff?|jp2)",
    re.IGNORECASE,
)
_PLANET: dict[str, float] = {
    "coastal": 443, "blue": 490, "green": 565, "yellow": 610, "red": 665, "red edge": 705, "nir": 865
}  # fmt: skip
_CAMERA_ROLES = ("nir", "red edge", "red", "green", "blue")
_CAMERAS: tuple[tuple[re.Pattern[str], dict[str, float]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), dict(zip(_CAMERA_ROLES, nm, strict=False)))
    for pattern, nm in (
        (r"micasense.*rededge(?!-?p)|rededge-(?:3|m|mx)(?![a-z])", (840, 717, 668, 560, 475)),
        (r"rededge-p(?![a-z])|altum", (842, 717, 668, 560, 475)),
        (r"sequoia", (790, 735, 660, 550)),
        (r"fc6360|p(?:hantom )?4 multispectral", (840, 730, 650, 560, 450)),
        (r"m3m(?![a-z])|mavic 3 ?m(?:ultispectral)?(?![a-z])", (860, 730, 650, 560)),
    )
)


def _satellite(numbered: Sequence[re.Match[str]], product: str) -> str | None:
    """Return the satellite whose bands are numbered like this, or None where it may be another."""
    stated = [name for name, pattern in _PRODUCTS.items() if re.search(pattern, product, re.IGNORECASE)]
    if stated:
        return stated[0] if len(stated) == 1 else None
    codes = {match[3] for match in numbered}
    # "Band 8" is the name of the eighth band of any file
    if all(match[2] == "b" for match in numbered) and all(
        code.lstrip("0") in _SATELLITES["sentinel-2"] for code in codes
    ):
        padded = any(code.startswith("0") for code in codes)
        if codes & {"8a", "08"} or (padded and "12" in codes):
            return "sentinel-2"
    # surface reflectance of Landsat has a band 6 from number 8 on
    return "landsat 8" if any(match[1] == "sr_" and match[3] == "6" for match in numbered) else None
