"""Read what files beside an image state about it, without GDAL's search for such files (see `imagery.gdal`).

| file                         | read                                                                     |
|------------------------------|--------------------------------------------------------------------------|
| `a.tif.aux.xml`              | nodata, CRS, transform, GCPs, RPCs, tags, descriptions, scale and offset |
| `a.tfw`, `a.tifw`, `a.wld`   | transform; with `a.prj`, the CRS as well                                 |
| `a.tif.msk`                  | mask of valid pixels; a TIFF of the same size                            |
| `a_RPC.TXT`, `a.RPB`         | RPCs                                                                     |

As in GDAL, `.aux.xml` goes before the image itself, except for the georeference of ENVI files; the other
files are used where the image states nothing.
"""

import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.rpc import RPC
from rasterio.transform import Affine

from nircolor.errors import first_line
from nircolor.imagery.gdal import clear_error, crs_from_wkt, open_dataset, tags_of
from nircolor.imagery.metadata.carried import Metadata
from nircolor.imagery.metadata.pam import Pam, PamBand, parse_pam
from nircolor.imagery.metadata.text_files import read_bounded, read_text

_T = TypeVar("_T")
# names in an RPB file by GDAL's names
_RPB_NAMES = {
    "ERR_BIAS": "errBias", "ERR_RAND": "errRand", "LINE_OFF": "lineOffset", "SAMP_OFF": "sampOffset",
    "LAT_OFF": "latOffset", "LONG_OFF": "longOffset", "HEIGHT_OFF": "heightOffset",
    "LINE_SCALE": "lineScale", "SAMP_SCALE": "sampScale", "LAT_SCALE": "latScale",
    "LONG_SCALE": "longScale", "HEIGHT_SCALE": "heightScale", "LINE_NUM_COEFF": "lineNumCoef",
    "LINE_DEN_COEFF": "lineDenCoef", "SAMP_NUM_COEFF": "sampNumCoef", "SAMP_DEN_COEFF": "sampDenCoef",
}  # fmt: skip


class DatasetWithSideFiles:
    """A rasterio dataset, open for reading, whose attributes include what the files beside it state.

    Args:
        dataset: the dataset; `close` closes it.
        data: the file that holds its pixels.
        metadata: EXIF, XMP and ICC profile of the file.

    Attributes:
        metadata: as given.
        problems: messages about files that could not be read.
    """

    def __init__(self, dataset: Any, data: Path, metadata: Metadata | None = None) -> None:
        self._dataset, self.problems = dataset, list[str]()
        self.metadata = metadata or Metadata()
        pam = self._read([f"{data.name}.aux.xml"], data, lambda file: parse_pam(read_bounded(file))) or Pam()
        self._pam = pam
        self.problems += [f"{data.name}.aux.xml beside it: {problem}" for problem in pam.problems]
        self._bands = [self._pam.bands.get(band, PamBand()) for band in dataset.indexes]
        self._mask = self._read([f"{data.name}.msk"], data, self._open_mask)
        self.rpcs = self._rpcs(data)
        self.crs, self.transform = dataset.crs, dataset.transform
        self.gcps = (list(pam.gcps), pam.gcps_crs) if pam.gcps else dataset.gcps
        placed = self.transform != Affine.identity() or bool(self.gcps[0])
        if dataset.driver != "ENVI" or not (placed or self.crs):
            self.crs = pam.crs or self.crs
            if pam.transform is not None:
                self.transform, placed = pam.transform, True
                self.gcps = ([], None)
        if not placed and dataset.driver != "ENVI":
            self._read_world_file(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    @property
    def nodatavals(self) -> tuple[float | None, ...]:
        """Nodata value, or None, of each band."""
        return self._each(lambda band: band.nodata, self._dataset.nodatavals)

    @property
    def nodata(self) -> float | None:
        """Nodata value of the first band, or None."""
        return self.nodatavals[0]

    @property
    def descriptions(self) -> tuple[str | None, ...]:
        """Description, or None, of each band."""
        return self._each(lambda band: band.description, self._dataset.descriptions)

    @property
    def scales(self) -> tuple[float, ...]:
        """Scale of each band."""
        return self._each(lambda band: band.scale, self._dataset.scales)

    @property
    def offsets(self) -> tuple[float, ...]:
        """Offset of each band."""
        return self._each(lambda band: band.offset, self._dataset.offsets)

    @property
    def colorinterp(self) -> tuple[ColorInterp, ...]:
        """Role of each band; PNG and JPEG define them."""
        if self._dataset.driver != "GTiff":
            return self._dataset.colorinterp
        return self._each(lambda band: band.colorinterp, self._dataset.colorinterp)

    @property
    def mask_flag_enums(self) -> tuple[list[MaskFlags], ...]:
        """Kind of mask of each band."""
        if self._mask is not None:
            return ([MaskFlags.per_dataset],) * self._dataset.count
        flags = zip(self._bands, self._dataset.mask_flag_enums, strict=True)
        return tuple(
            [MaskFlags.nodata] if band.nodata is not None and set(own) == {MaskFlags.all_valid} else own
            for band, own in flags
        )

    def read_masks(self, band: int, **options: Any) -> Any:
        """Read the mask of a band: 0 where invalid."""
        if self._mask is None:
            return self._dataset.read_masks(band, **options)
        return self._mask.read(1, **options)

    def tags(self, band: int = 0, ns: str | None = None) -> dict[str, str]:
        """Return the tags of the dataset (band 0) or a band."""
        try:
            if self._dataset.driver == "JP2OpenJPEG" and not band and ns == "IMAGE_STRUCTURE":
                # GDAL would follow all markers to add whether it is lossless, without end in damaged files
                own = {"COMPRESSION": "JPEG2000"}
            else:
                own = self._dataset.tags(band, ns=ns)
        finally:
            if self._dataset.driver in ("JPEG", "WEBP") and not band and not ns:
                clear_error(self._dataset)  # of EXIF, which GDAL reads here
        return own | (self._bands[band - 1] if band else self._pam).tags.get(ns or "", {})

    def close(self) -> None:
        """Close the dataset and its mask."""
        if self._mask is not None:
            self._mask.close()
        self._dataset.close()

    def _each(self, of: Callable[[PamBand], _T | None], own: Sequence[_T]) -> tuple[_T, ...]:
        stated = (of(band) for band in self._bands)
        return tuple(o if s is None else s for s, o in zip(stated, own, strict=True))

    def _read(self, names: Sequence[str], data: Path, read: Callable[[Path], _T]) -> _T | None:
        """Read the first file beside the image that exists; None if there is none or it is damaged."""
        file = next((path for name in names if (path := _beside(data, name)) is not None), None)
        if file is None:
            return None
        try:
            return read(file)
        except (ValueError, KeyError, IndexError, OverflowError, OSError, RasterioError) as error:
            reason = first_line(error)[:200]
            self.problems.append(f"{file.name} beside it is not read ({reason})")
            return None

    def _open_mask(self, file: Path) -> Any:
        mask = open_dataset(file, driver="GTiff")
        size = (self._dataset.height, self._dataset.width)
        if mask.shape != size or mask.dtypes[0] != "uint8":
            mask.close()
            raise ValueError(f"expected a TIFF of 8 bits and {size[1]} x {size[0]} pixels")
        return mask

    def _read_world_file(self, data: Path) -> None:
        end = data.suffix[1:]
        ends = [*([f"{end[0]}{end[-1]}w", f"{end}w"] if end else []), "wld"]
        transform = self._read([f"{data.stem}.{end}" for end in ends], data, _world_file)
        if transform is None or transform == Affine.identity():
            self._read([f"{data.stem}.tab"], data, _refuse_tab)
            return
        self.transform = transform
        if self.crs is None:
            self.crs = self._read([f"{data.stem}.prj"], data, _projection)

    def _rpcs(self, data: Path) -> RPC | None:
        def stated() -> RPC | None:
            items = tags_of(self, 0, "RPC")
            return RPC.from_gdal(items) if items else None

        try:
            found = stated()
        except (ValueError, KeyError, IndexError):
            self.problems.append("its RPCs are damaged and left out")
            found = None
        if found is None:
            found = self._read([f"{data.stem}_RPC.TXT"], data, _rpc_text)
        return found or self._read([f"{data.stem}.RPB"], data, _rpb)


def _beside(data: Path, name: str) -> Path | None:
    """Find a regular file beside an image, with the extension of ``name`` as given or in either case.

    A link to a folder other than that of the image (itself a link perhaps) is left out, as for ENVI data.
    """
    stem, _, end = name.rpartition(".")
    for variant in dict.fromkeys((name, f"{stem}.{end.lower()}", f"{stem}.{end.upper()}", name.lower())):
        path = data.with_name(variant)
        try:
            if stat.S_ISREG(path.stat().st_mode) and (
                not path.is_symlink()
                or path.resolve().parent in (data.parent.resolve(), data.resolve().parent)
            ):
                return path
        except (OSError, ValueError):
            continue
    return None


def _world_file(file: Path) -> Affine:
    """Parse a world file, which places the centre of the first pixel."""
    numbers = [float(text.replace(",", ".")) for text in read_text(file)[:4096].split()[:6]]
    if len(numbers) != 6:
        raise ValueError(f"expected 6 numbers, got {len(numbers)}")
    a, d, b, e, c, f = numbers
    if a * e == b * d or not all(abs(number) < 1e300 for number in numbers):
        raise ValueError("expected a transform with an area")
    return Affine(a, b, c - (a + b) / 2, d, e, f - (d + e) / 2)


def _refuse_tab(file: Path) -> None:
    if 'type "raster"' in read_text(file).lower():
        raise ValueError("a georeference of MapInfo; convert the image with gdal_translate to keep it")


def _projection(file: Path) -> CRS:
    return crs_from_wkt(read_text(file), esri=True)


def _rpc_text(file: Path) -> RPC:
    """Parse lines such as ``LINE_OFF: +003424.00 pixels`` and ``LINE_NUM_COEFF_1: -1.2E-03``."""
    items = {}
    for line in read_text(file).splitlines():
        name, _, value = line.partition(":")
        if value.strip():
            items[name.strip()] = value.split()[0]
    for name in ("LINE_NUM_COEFF", "LINE_DEN_COEFF", "SAMP_NUM_COEFF", "SAMP_DEN_COEFF"):
        items[name] = " ".join(items[f"{name}_{i}"] for i in range(1, 21))
    return RPC.from_gdal({name: items[name] for name in _RPB_NAMES if name in items})


def _rpb(file: Path) -> RPC:
    """Parse lines such as ``lineOffset = 2191;`` and lists in brackets."""
    items = {}
    for statement in read_text(file).split(";"):
        # "BEGIN_GROUP = IMAGE" may stand before the first item of a group
        name, _, value = statement.rpartition("=")
        items[name.split()[-1] if name.strip() else ""] = value.strip(" ()\r\n\t")
    return RPC.from_gdal(
        {name: items[key].replace(",", " ") for name, key in _RPB_NAMES.items() if key in items}
    )
