"""Parse GDAL's `.aux.xml` files (PAM, persistent auxiliary metadata)."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError
from rasterio.transform import Affine

from nircolor.imagery.gdal import crs_from_wkt
from nircolor.imagery.metadata.safe_xml import parse_xml

# "EPSG:32632", "urn:ogc:def:crs:EPSG::32632"
_CODE = re.compile(r"(?:urn:ogc:def:crs:)?(EPSG|ESRI|IAU|IGNF|OGC):(?:[\d.]*:)?(\w{1,20})", re.IGNORECASE)

# metadata items by domain, "" for the default one
Domains = dict[str, dict[str, str]]


@dataclass(frozen=True)
class PamBand:
    """Content of a `.aux.xml` about a band; None or empty where it states nothing."""

    nodata: float | None = None
    description: str | None = None
    scale: float | None = None
    offset: float | None = None
    colorinterp: ColorInterp | None = None
    tags: Domains = field(default_factory=dict)


@dataclass(frozen=True)
class Pam:
    """Content of a `.aux.xml` about an image; None or empty where it states nothing."""

    crs: CRS | None = None
    transform: Affine | None = None
    gcps: tuple[GroundControlPoint, ...] = ()
    gcps_crs: CRS | None = None
    tags: Domains = field(default_factory=dict)
    bands: dict[int, PamBand] = field(default_factory=dict)  # by 1-based number
    problems: tuple[str, ...] = ()


def parse_pam(raw: bytes) -> Pam:
    """Parse the content of a `.aux.xml`; raise `ValueError` where it is damaged or of another kind.

    Example:
        >>> band = '<PAMRasterBand band="1"><NoDataValue>0</NoDataValue></PAMRasterBand>'
        >>> parse_pam(f"<PAMDataset>{band}</PAMDataset>".encode()).bands[1].nodata
        0.0
    """
    root = parse_xml(raw)
    if root.tag != "PAMDataset":
        raise ValueError(f"expected a PAMDataset, got {root.tag[:40]!r}")
    transform = None
    if (text := root.findtext("GeoTransform")) is not None:
        numbers = [_number(part) for part in text.split(",")]
        if len(numbers) != 6:
            raise ValueError(f"expected a GeoTransform of 6 numbers, got {len(numbers)}")
        transform = Affine.from_gdal(*numbers)
    points = root.find("GCPList")
    problems: list[str] = []
    return Pam(
        crs=_crs(root.findtext("SRS"), problems),
        transform=transform,
        gcps=() if points is None else tuple(_point(point) for point in points.iter("GCP")),
        gcps_crs=None
        if points is None
        else _crs(points.get("Projection") or points.findtext("SRS"), problems),
        tags=_domains(root),
        bands=dict(_bands(root)),
        problems=tuple(problems),
    )


def _bands(root: Element) -> Iterator[tuple[int, PamBand]]:
    for element in root.iter("PAMRasterBand"):
        role = (element.findtext("ColorInterp") or "").lower()
        yield (
            int(_number(element.get("band", ""))),
            PamBand(
                nodata=_optional(element.findtext("NoDataValue")),
                description=element.findtext("Description") or None,
                scale=_optional(element.findtext("Scale")),
                offset=_optional(element.findtext("Offset")),
                colorinterp=ColorInterp.__members__.get(role) or None,
                tags=_domains(element),
            ),
        )


def _domains(element: Element) -> Domains:
    domains: Domains = {}
    for metadata in element.findall("Metadata"):
        items = domains.setdefault(metadata.get("domain", ""), {})
        items |= {item.get("key", ""): item.text or "" for item in metadata.findall("MDI")}
    return domains


def _point(element: Element) -> GroundControlPoint:
    row, col, x, y = (_number(element.get(name, "")) for name in ("Line", "Pixel", "X", "Y"))
    z = _optional(element.get("Z") or element.get("GCPZ"))
    return GroundControlPoint(row, col, x, y, z, id=element.get("Id"), info=element.get("Info", ""))


def _crs(text: str | None, problems: list[str]) -> CRS | None:
    """Parse a CRS in WKT or as a code such as "EPSG:32632"; add to ``problems`` where it cannot be read."""
    text = (text or "").strip()
    code = _CODE.fullmatch(text)
    try:
        if code is not None:
            text = CRS.from_authority(code[1].upper(), code[2]).to_wkt()
        return crs_from_wkt(text) if text else None
    except (ValueError, CRSError):
        CRS.from_epsg(4326)  # see `crs_from_wkt`
        problems.append(f"its coordinate reference system is not read ({text[:40]!r})")
        return None


def _optional(text: str | None) -> float | None:
    return None if text is None or not text.strip() else _number(text, finite=False)


def _number(text: str, finite: bool = True) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"expected a number, got {text[:40]!r}") from None
    if finite and not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {text[:40]!r}")
    return value
