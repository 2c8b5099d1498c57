"""TIFFs of several pages: find the image among previews, and read pages of one size as bands."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.windows import Window as RasterioWindow

from nircolor.arrays import Array
from nircolor.errors import NircolorError
from nircolor.imagery.bands import band_info, microscopy
from nircolor.imagery.bands.band_info import BandInfo
from nircolor.imagery.bands.given import GivenBands
from nircolor.imagery.bands.sensors import is_plain, sensor_wavelengths
from nircolor.imagery.files import tiff
from nircolor.imagery.gdal import open_dataset
from nircolor.texts import abbreviate

_MAX_PAGES = 4096
# pages whose datasets stay open: each has a file descriptor
_OPEN_PAGES = 32
_DESCRIPTION, _PAGE_NAME, _XMP, _GDAL_METADATA = 270, 285, 700, 42112
# bits, photometric interpretation, samples, planes, extra samples, sample format, nodata
_TYPE_TAGS = (258, 262, 277, 284, 338, 339, 42113)
# kinds of pages by TIFF's NewSubfileType: a reduced copy, a mask; and by the older SubfileType
_REDUCED, _MASK, _OLD_REDUCED = 1, 4, 2


@dataclass(frozen=True)
class Page:
    """A page of a TIFF.

    Attributes:
        offset: place of its directory in the file.
        tags: its tags.
    """

    offset: int
    tags: tiff.Tags

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first value of a tag of whole numbers."""
        values = self.tags.get(tag)
        return int(values[0]) if isinstance(values, tuple) and values else default

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, as stored."""
        return self.number(257), self.number(256)

    @property
    def name(self) -> str | None:
        """Name (PageName) or description of the page where it names a band, else None."""
        for tag in (_PAGE_NAME, _DESCRIPTION):
            value = self.tags.get(tag, b"")
            text = value[:200].split(b"\0")[0].decode("utf-8", "replace") if isinstance(value, bytes) else ""
            if is_plain(text):
                return text
        return None

    def is_like(self, first: "Page") -> bool:
        """Whether the page differs from the first only in its name and pixels, as GDAL reports them."""
        if self is first:
            return True
        if {_XMP, _GDAL_METADATA} & (self.tags.keys() | first.tags.keys()):
            return False
        return all(self.tags.get(tag) == first.tags.get(tag) for tag in _TYPE_TAGS)

    @property
    def is_image(self) -> bool:
        """Whether the page is neither marked as a reduced copy nor as a mask."""
        marked = self.number(254) & (_REDUCED | _MASK) or self.number(255, 1) == _OLD_REDUCED
        return not marked and min(self.size) > 0


@dataclass(frozen=True)
class Pages:
    """Pages of a TIFF that hold its image.

    Attributes:
        images: the pages of the image; several of one size are bands or another series.
        is_first: whether the image is the file's first page, which GDAL reads by default.
        warning: warning about pages that are left out, or None.
        stack: what the first page says about all planes.
    """

    images: tuple[Page, ...]
    is_first: bool
    warning: str | None
    stack: microscopy.Stack

    @property
    def is_plain(self) -> bool:
        """Whether GDAL alone reads the image: it is the first page, and nothing else names its bands."""
        return len(self.images) == 1 and self.is_first and not self.stack.bands

    @property
    def orientation(self) -> int | None:
        """EXIF orientation of the image; None where none is stated."""
        return self.images[0].number(tiff.ORIENTATION) or None


def find_pages(path: Path, data: Path) -> Pages | None:
    """Find the image among the pages of a TIFF; reduced copies, masks and previews are left out.

    Args:
        path: the path that error messages name.
        data: the file.

    Returns:
        The pages, or None where the first page is all that is to be read.

    Raises:
        NircolorError: the pages have several sizes and none of them is clearly the image, there are too many,
            or a stack has planes that no page describes.
    """
    main: list[Page] = []
    below: list[Page] = []
    order = "<"
    try:
        with data.open("rb") as file:
            reader = tiff.TiffTags(file)
            order = reader.order
            for offset, tags in reader.pages(_MAX_PAGES + 1):
                main.append(Page(offset, tags))
                if len(main) == 1:
                    below += _sub_pages(reader, tags)
    except (OSError, ValueError) as error:
        # many programs write a wrong link after a single page; if the page itself is damaged, GDAL reports it
        if len(main) > 1:
            raise NircolorError(f"{path}: the image is damaged or cut off after {len(main)} pages") from error
    if len(main) > _MAX_PAGES:
        raise NircolorError(f"{path}: expected at most {_MAX_PAGES} pages, got more")
    if not main:
        return None
    stack = microscopy.read_stack(main[0].tags, order)
    if stack.planes is not None and stack.planes > len(main) and _may_hold(data, stack.planes, main[0]):
        raise NircolorError(
            f"{path}: expected a page for each of {stack.planes} planes ({stack.dimensions or 'an array'}), "
            f"got {len(main)}; save them as separate files, or as a TIFF with a page for each"
        )
    images = [page for page in main if page.is_image]
    largest = max((_pixels(page) for page in images), default=0)
    images += [page for page in below if page.is_image and _pixels(page) > largest]
    if not images:
        return None
    chosen = max(images, key=_pixels)  # the first of the largest
    same = tuple(page for page in images if page.size == chosen.size)
    others = [page for page in images if page.size != chosen.size and not _is_preview(page, chosen)]
    first = same[0].offset == main[0].offset
    if others and not first:
        sizes = ", ".join(dict.fromkeys(f"{page.size[1]} x {page.size[0]}" for page in images))
        raise NircolorError(
            f"{path}: expected one image or pages of one size, got {len(images)} pages of {sizes} pixels; "
            "save the one that is meant as a file of its own"
        )
    return Pages(same, first, _warning(path, len(same), others), stack)


def _sub_pages(reader: tiff.TiffTags, tags: tiff.Tags) -> Iterator[Page]:
    """Pages below the first one (SubIFDs), among which some programs put the full image."""
    offsets = tags.get(tiff.SUB_IFDS, ())
    for offset in offsets[:16] if isinstance(offsets, tuple) else ():
        with suppress(ValueError):
            yield Page(offset, reader.directory(offset)[0])


def _may_hold(data: Path, planes: int, page: Page) -> bool:
    """Whether a file is long enough for this number of planes; else its text was copied from another file."""
    bits = page.number(258, 1) * page.number(tiff.SAMPLES_PER_PIXEL, 1)
    return data.stat().st_size >= planes * _pixels(page) * bits // 8


def _pixels(page: Page) -> int:
    return page.size[0] * page.size[1]


def _is_preview(page: Page, image: Page) -> bool:
    """Whether a page has the shape of the image, to a pixel, and at most half its height and width."""
    (height, width), (full_height, full_width) = page.size, image.size
    ratio = max(full_height / height, full_width / width)
    close = abs(full_height / ratio - height) <= 1 and abs(full_width / ratio - width) <= 1
    return ratio >= 2 and close


def _warning(path: Path, count: int, others: Sequence[Page]) -> str | None:
    if not others:
        return None
    sizes = ", ".join(dict.fromkeys(f"{page.size[1]} x {page.size[0]}" for page in others))
    return f"{path}: holds {count + len(others)} pages, of which those of {sizes} pixels are left out"


class PagedDataset:
    """Pages of a TIFF as the bands of one dataset, with the attributes of rasterio's datasets.

    Attributes that do not concern bands are those of the first page. Pages are opened when they
    are read, and few stay open.

    Args:
        path: the path that error messages name.
        data: absolute path of the file.
        pages: the pages; of one size.

    Raises:
        NircolorError: the pages have several types of values.
    """

    def __init__(self, path: Path, data: Path, pages: Pages) -> None:
        self._data, self._pages, self._path = data, pages, path
        self._first = open_dataset(data, driver="GTiff") if pages.is_first else self._open(0)
        self._opened: OrderedDict[int, Any] = OrderedDict()
        # page and band in it, of each band
        self._places: list[tuple[int, int]] = []
        self.dtypes: list[str] = []
        self.nodatavals: list[float | None] = []
        self.scales: list[float] = []
        self.units: list[str | None] = []
        self.offsets: list[float] = []
        self.colorinterp: list[ColorInterp] = []
        self._infos: list[BandInfo] = []
        single = len(pages.images) == 1
        try:
            for index in range(len(pages.images)):
                self._add(index, single)
        except BaseException:
            self.close()
            raise
        self.count = len(self._places)
        self.indexes = tuple(range(1, self.count + 1))
        self.descriptions: list[str | None] = [info.name for info in self._infos]
        self.block_shapes = list(self._first.block_shapes[:1]) * self.count
        self.mask_flag_enums = list(self._first.mask_flag_enums[:1]) * self.count

    def _add(self, index: int, single: bool) -> None:
        page = self._pages.images[index]
        # opening a page takes GDAL the longer the more there are
        dataset = self._first if page.is_like(self._pages.images[0]) else self._dataset(index)
        if set(dataset.dtypes) != {self._first.dtypes[0]} or dataset.shape != self._first.shape:
            types = f"{self._first.dtypes[0]} and {dataset.dtypes[0]}"
            raise NircolorError(f"{self._path}: expected pages of one type, got {types}")
        if len(self._places) + dataset.count > _MAX_PAGES:  # before the tags of each band are read
            raise NircolorError(f"{self._path}: expected at most {_MAX_PAGES} bands, its pages claim more")
        self._places += [(index, band) for band in range(1, dataset.count + 1)]
        self.dtypes += dataset.dtypes
        self.nodatavals += dataset.nodatavals
        self.scales += dataset.scales
        self.units += dataset.units
        self.offsets += dataset.offsets
        # of several pages, a colour table is how they are displayed, and none is a channel of another one
        self.colorinterp += dataset.colorinterp if single else [ColorInterp.undefined] * dataset.count
        infos = [BandInfo()] * dataset.count
        if dataset is not self._first or index == 0:
            infos = list(band_info.of_dataset(dataset, {}))
        if infos[0].name is None and len(infos) == 1:
            infos = [infos[0].with_name(page.name, "name of the band")]
        self._infos += infos

    def __getattr__(self, name: str) -> Any:
        return getattr(self._first, name)

    def known_bands(self, bands_nm: GivenBands | None) -> tuple[BandInfo, ...]:
        """Return what the pages, and the first one's description of all, state about the bands.

        Several pages are bands where the user names some, or where each states a wavelength or a part of
        the spectrum.

        Raises:
            NircolorError: the pages may be something else than bands.
        """
        infos = microscopy.with_planes(self._infos, self._pages.stack.bands)
        by_sensor = sensor_wavelengths([info.name for info in infos], self._path.name)
        known = tuple(
            info if info.nm is not None else replace(info, nm=nm, source="known sensor")
            for info, nm in zip(infos, by_sensor, strict=True)
        )
        are_bands = all(info.nm is not None or info.role is not None for info in known)
        if len(self._pages.images) > 1 and bands_nm is None and not are_bands:
            raise NircolorError(self._question(known))
        return known

    def _question(self, known: Sequence[BandInfo]) -> str:
        """Message about pages that may be bands, slices or frames."""
        dimensions = self._pages.stack.dimensions
        names = [info.name or "?" for info in known]
        kind = f" ({dimensions})" if dimensions else ""
        called = f" called {abbreviate(names, 5, 5)}" if any(info.name for info in known) else ""
        return (
            f"{self._path}: expected one image or bands with wavelengths, got {len(self._pages.images)} "
            f"pages of {self.width} x {self.height} pixels{kind}{called}; if they are bands, name the "
            f"wavelength of each of the {len(known)} (--bands 780,850,…), or the number of the near-infrared "
            "one (--bands nir=1)"
        )

    def tags(self, band: int = 0, ns: str | None = None) -> dict[str, str]:
        """Return the tags of a band, or of the first page."""
        if band == 0:
            return dict(self._first.tags(ns=ns))
        index, number = self._places[band - 1]
        return dict(self._dataset(index).tags(number, ns=ns))

    def read(self, bands: int | Sequence[int], window: RasterioWindow | None = None) -> Array:
        """Read a window of a band (h, w), or of a list of bands (bands, h, w)."""
        if isinstance(bands, int):
            return self.read([bands], window)[0]
        planes: list[Array] = []
        for band in bands:
            index, number = self._places[band - 1]
            planes.append(self._dataset(index).read(number, window=window))
        return np.stack(planes)

    def read_masks(self, _band: int, window: RasterioWindow | None = None) -> Array:
        """Read the mask of the first page, (h, w)."""
        mask: Array = self._first.read_masks(1, window=window)
        return mask

    def close(self) -> None:
        """Close all pages; a second call does nothing."""
        for dataset in (*self._opened.values(), self._first):
            dataset.close()
        self._opened.clear()

    def _dataset(self, index: int) -> Any:
        if index == 0:
            return self._first
        if index not in self._opened:
            while len(self._opened) >= _OPEN_PAGES:
                self._opened.popitem(last=False)[1].close()
            self._opened[index] = self._open(index)
        self._opened.move_to_end(index)
        return self._opened[index]

    def _open(self, index: int) -> Any:
        return open_dataset(self._data, driver="GTiff", page=self._pages.images[index].offset)
