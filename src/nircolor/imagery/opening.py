"""Open image files."""

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from nircolor.errors import ColourPhotographError, NircolorError, NircolorWarning
from nircolor.imagery.bands import band_info, roles
from nircolor.imagery.bands.converted import ConvertedDataset, looks_converted
from nircolor.imagery.bands.given import GivenBands
from nircolor.imagery.bands.given import given as given_bands
from nircolor.imagery.bands.pages import PagedDataset, Pages, find_pages
from nircolor.imagery.cube import Cube
from nircolor.imagery.files import camera_raw, envi_files, envi_header, tiff
from nircolor.imagery.files.locate import ImageFile, locate
from nircolor.imagery.files.raw_samples import CAMERA_RAW_ITEM, SAMPLE_DRIVERS, find_samples
from nircolor.imagery.files.signatures import CAMERA_RAW, is_animated_png
from nircolor.imagery.gdal import gdal_for, open_dataset, tags_of
from nircolor.imagery.grid import Georeference, Grid
from nircolor.imagery.metadata.carried import kept_tags, read_metadata
from nircolor.imagery.metadata.side_files import DatasetWithSideFiles
from nircolor.imagery.metadata.xmp import xmp_properties
from nircolor.imagery.numbers import finite_number
from nircolor.imagery.orientation import of_tiff as tiff_orientation
from nircolor.imagery.orientation import parse as parse_orientation
from nircolor.imagery.orientation import swaps_axes
from nircolor.imagery.raster import DAMAGED, FileRaster, Raster, read_reduced
from nircolor.imagery.stacks.find import find_stack, stack_path
from nircolor.imagery.stacks.raster import StackRaster
from nircolor.imagery.stored import StoredImage, check_size
from nircolor.imagery.validity.invalid import Nodata, check_nodata
from nircolor.imagery.validity.padding import find_padding
from nircolor.imagery.validity.undeclared import find_undeclared
from nircolor.imagery.values import products, scaling
from nircolor.imagery.values.calibration import (
    Calibration,
    find_references,
    load_calibration,
    reference_names,
)
from nircolor.imagery.values.reflectance import Values
from nircolor.imagery.values.scaling import Encoding

# side of the reduced view from which percentiles are taken, and its number of values: cubes have many bands
_STRETCH_PX, _STRETCH_VALUES = 1024, 8 << 20


def open_raster(
    path: str | os.PathLike[str],
    *,
    bands_nm: GivenBands | None = None,
    scale: float | None = None,
    offset: float | None = None,
    reflectance: bool | None = None,
    stretch: tuple[float, float] | None = None,
    nodata: Nodata | None = None,
    max_pixels: int | None = None,
    encoding: Encoding | None = None,
    refuse_colour: bool = False,
    converted: bool = False,
) -> Raster:
    """Open a PNG, JPEG, TIFF, GeoTIFF, JPEG 2000, WebP, BMP, PGM, PPM, ENVI, NumPy or camera raw image.

    Camera raw files (extra ``raw``) are developed like photographs, as `imagery.files.camera_raw` describes.

    A raw ENVI capture with dark and white references beside it (`imagery.values.calibration`) is read as
    reflectance, unless ``scale``, ``offset`` or ``stretch`` is given.

    Where a file marks no invalid pixels, black padding beyond straight edges is taken as invalid
    (`validity.padding`), as well as values such as -9999 (`validity.undeclared`), with a warning.

    Only the header is read, with exceptions that need pixels: three RGB channels without wavelengths are
    compared, since they may hold one gray image; values whose scale is not stated by the user, other than
    8-bit ones, are sampled, to warn where they do not suit it, and signed ones for undeclared nodata; where a
    corner is black, the image is searched for padding. PNG and JPEG images that were decoded for this stay
    in memory up to 96 MiB. Camera raw files are developed as a whole, and stay in memory.

    Args:
        path: the image; for ENVI its header or its data file. Also an image in several files
            (`imagery.stacks`): the folder of a Sentinel-2 product or Landsat scene, the name of a set such as
            ``flight/IMG_0001``, or a list of files and wavelengths, ``b7.tif@783,b8.tif@842``.
        bands_nm: wavelength of each band in nm, in the order of the file; or a mapping from wavelength to
            the number of the band that has it, from 1, which leaves the other bands unknown; or
            ``{"nir": number}`` to read that band alone, as a near-infrared one of unknown wavelength.
        scale: file value that maps to 1.0, instead of the fixed rule (`Raster.scale_rule`). For integers a
            number below 1 is the factor: 0.0001 is the same as 10000.
        offset: number from -1 to 1 to add after scaling: ``value / scale + offset``.
        reflectance: whether the scaled values are linear reflectance, where the metadata does not say so or
            is wrong; see `imagery.values.reflectance`.
        stretch: (low, high) percentiles of the whole image that map to 0 and 1, instead of the rule.
        nodata: value of invalid pixels, in the units of the file, instead of the one that the file declares;
            "none" if no value is invalid; "declared" to look for nothing that is not declared. Alpha channels
            and masks apply in any case.
        max_pixels: largest height times width that is opened. By default there is no limit, but a file that
            claims far more pixels than its length can hold is refused (`stored.check_size`).
        encoding: what the model for which the image is read expects, "gamma" or "reflectance"; chooses the
            warnings about its values.
        refuse_colour: raise an error for a colour photograph, instead of a warning.
        converted: read a colour image as that of a converted camera: the mean of its channels is the
            near-infrared image (of camera raw, the channels of the sensor). Others are read as they are.

    Returns:
        The open image, to be used in a ``with`` block.

    Raises:
        ColourPhotographError: with ``refuse_colour``, the image is a colour photograph.
        NircolorError: the file is not a complete local image, its pages are of one size and nothing names
            them as bands, or the options do not fit it.

    Warns:
        NircolorWarning: the image is a colour photograph, has smaller pages of another shape, or its values
            do not suit the rule.

    Example:
        >>> import tempfile, rasterio
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     profile = {"driver": "GTiff", "width": 4, "height": 3, "count": 1, "dtype": "uint8"}
        ...     with rasterio.open(f"{folder}/nir.tif", "w", crs="EPSG:32633", **profile) as file:
        ...         file.write(np.full((1, 3, 4), 51, np.uint8))
        ...     with open_raster(f"{folder}/nir.tif", bands_nm=[850]) as raster:
        ...         print(raster.bands, raster.height, raster.width, raster.wavelengths_nm)
        ...         nir, valid = raster.read((0, 2, 0, 4))
        1 3 4 (850.0,)
        >>> nir.shape, round(float(nir[0, 0, 0]), 3), bool(valid.all())
        ((1, 2, 4), 0.2, True)
    """
    stack = find_stack(path)
    if stack is None:
        return _open_file(
            path,
            bands_nm=bands_nm,
            scale=scale,
            offset=offset,
            reflectance=reflectance,
            stretch=stretch,
            nodata=nodata,
            max_pixels=max_pixels,
            encoding=encoding,
            refuse_colour=refuse_colour,
            converted=converted,
        )
    if stretch is not None:
        _check_stretch_alone(stack.path, scale, offset, reflectance)
    open_band = partial(
        _open_file,
        scale=scale,
        offset=offset,
        reflectance=reflectance,
        nodata=stack.nodata if nodata is None else nodata,
        max_pixels=max_pixels,
        warns_of_values=False,
    )
    raster = StackRaster(stack, open_band, bands_nm=bands_nm, stretch=stretch)
    problem = raster.values.warning(encoding)
    if problem:
        text = problem.removeprefix(f"{stack.path}: ")
        warnings.warn(NircolorWarning(text, path=stack.path), stacklevel=2)
    return raster


def _open_file(
    path: str | os.PathLike[str],
    *,
    bands_nm: GivenBands | None = None,
    scale: float | None = None,
    offset: float | None = None,
    reflectance: bool | None = None,
    stretch: tuple[float, float] | None = None,
    nodata: Nodata | None = None,
    max_pixels: int | None = None,
    encoding: Encoding | None = None,
    refuse_colour: bool = False,
    converted: bool = False,
    warns_of_values: bool = True,
) -> FileRaster:
    """Open a file as `open_raster` does, with or without the warning about its values."""
    file = locate(path)
    header = {} if file.header is None else envi_files.read_header(file.path, file.header, file.data)
    if stretch is not None:
        _check_stretch_alone(file.path, scale, offset, reflectance)
    raw = scale is None and offset is None and stretch is None
    references = find_references(file.header) if file.header and raw and reflectance is not False else None
    pages = find_pages(file.path, file.data) if file.driver == "GTiff" else None
    if converted and bands_nm is not None:
        raise NircolorError(f"{file.path}: expected either --from converted or --bands, got both")
    # the user's bands are those of the sensor
    colours: camera_raw.Colours = "mean" if converted else "colour" if bands_nm is None else "channels"
    with _opened(file, pages, max_pixels, colours) as dataset:
        if pages is not None and not pages.is_plain:
            known = dataset.known_bands(bands_nm)
        else:
            known = band_info.of_dataset(dataset, header, file.path.name)
        if "bbl" in header:
            known = envi_header.without_bad_bands(file.path, known, header["bbl"])
        if bands_nm is None:
            envi_header.check_wavelengths(file.path, header, dataset.count)
        if raw and reflectance is not False:
            envi_header.check_scale(file.path, header)
        layout = roles.of_dataset(file.path, dataset, known, bands_nm)
        if converted and layout.is_colour and layout.palette is None:
            dataset = ConvertedDataset(dataset, layout)
            known = band_info.of_dataset(dataset, header, file.path.name)
            layout = roles.of_dataset(file.path, dataset, known, None)
        georeference = Georeference.of_dataset(dataset)
        orientation = _orientation_of(file, dataset, georeference, pages)
        dtype = np.dtype(dataset.dtypes[0])
        given = None if nodata == "declared" else nodata
        invalid_value = dataset.nodata if given is None else check_nodata(file.path, given, dtype)
        stored = StoredImage(dataset, layout, nodata=given, across_rows=swaps_axes(orientation))
        if layout.is_colour and layout.palette is None and stored.is_gray():
            stored.reduce_to_gray()
            known = band_info.without_colours(known)
        layout = stored.layout
        if refuse_colour and layout.is_colour and bands_nm is None:
            raise ColourPhotographError(f"{file.path}: is a colour photograph (its channels differ)")
        undeclared = None
        if references is None and nodata is None and file.driver != CAMERA_RAW:
            stored.padding = find_padding(stored, dataset)
            if stored.padding is None:
                undeclared = find_undeclared(stored, is_map=bool(georeference))
        if undeclared is not None and undeclared.is_certain:
            invalid_value = float(undeclared.value)
            stored = StoredImage(dataset, layout, nodata=invalid_value, across_rows=swaps_axes(orientation))
        # a map says where it has no data; in a photograph black stays black
        is_padded_map = stored.padding is not None and bool(georeference)
        height, width = _upright_size(dataset, orientation)
        grid = Grid(
            width,
            height,
            dtype,
            georeference,
            nodata=0 if is_padded_map else invalid_value,
            has_alpha=layout.alpha is not None,
            has_mask=stored.has_mask,
            may_have_invalid=stored.may_have_invalid or is_padded_map,
            metadata=dataset.metadata,
            tags=kept_tags(tags_of(dataset), header),
            is_rotated=orientation != 1,
        )
        # the stored band of each data band: a palette makes three of one
        data = layout.stored * (layout.bands // len(layout.stored))
        meanings = tuple(known[i - 1] for i in data)
        if bands_nm is not None:
            meanings = given_bands(file.path, bands_nm, data, meanings)
        names = tuple(info.name for info in meanings)
        if references is not None:
            rule: scaling.Scale | Calibration = load_calibration(Cube(file.path), references)
        elif stretch is not None:
            rule = _stretched(file.path, stored, dataset, data, stretch)
        else:
            options = {"scale": scale, "offset": offset, "reflectance": reflectance}
            rule = _choose_scale(file, stored, dataset, data, names, header, options)
        values = Values(
            file.path,
            grid.dtype,
            rule,
            product=products.recognize(file.path, names, tags_of(dataset)),
            is_spectral=any(known[i - 1].nm for i in data),
            references=None if file.header is None else reference_names(file.header),
            **_sampled(stored, rule, dtype),
        )
        for warning in (
            *dataset.problems,
            None if pages is None else pages.warning,
            "is animated; its first image is read"
            if file.driver == "PNG" and is_animated_png(file.data)
            else None,
            None if stored.padding is None else stored.padding.warning(),
            None if undeclared is None else undeclared.warning(),
            _colour_warning(file.path, stored, _camera_raw(dataset)) if bands_nm is None else None,
            values.warning(encoding) if warns_of_values else None,
        ):
            if warning:
                problem = warning.removeprefix(f"{file.path}: ")
                warnings.warn(NircolorWarning(problem, path=file.path), stacklevel=3)
    return FileRaster(file, stored, grid, values, meanings, orientation)


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Return height and width of an image in pixels, upright, from its header alone.

    Args:
        path: the image; for ENVI its header or its data file.

    Raises:
        NircolorError: the file is not a local image.

    Example:
        >>> import tempfile
        >>> from nircolor.imagery import encode_png
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "nir.png")
        ...     _ = path.write_bytes(encode_png(np.zeros((1, 3, 4), np.float32)).data)
        ...     image_size(path)
        (3, 4)
    """
    if stack_path(path) is not None:
        with open_raster(path) as raster:
            return raster.height, raster.width
    file = locate(path)
    if file.header is not None:
        envi_files.read_header(file.path, file.header, file.data)
    pages = find_pages(file.path, file.data) if file.driver == "GTiff" else None
    with _opened(file, pages) as dataset:
        orientation = _orientation_of(file, dataset, Georeference.of_dataset(dataset), pages)
        size = _upright_size(dataset, orientation)
        dataset.close()
    return size


def _colour_warning(path: Path, stored: StoredImage, raw: str | None) -> str | None:
    """Return a warning where the image is a colour photograph, or that of a converted camera, else None.

    Args:
        path: the path that messages name.
        stored: the image.
        raw: of camera raw, what the channels of the sensor show, which tells more than the image.
    """
    if not stored.layout.is_colour:
        return None
    if looks_converted(stored.sample()) if raw is None else raw == "near-infrared":
        kind = "red-tinted image" if raw is None else "camera raw"
        return (
            f"{path}: looks like the {kind} of a converted camera; --from converted reads the mean "
            "of its channels as near-infrared"
        )
    return roles.warning(path, stored.layout)


def _camera_raw(dataset: Any) -> str | None:
    """Return what the channels of a developed camera raw file show, None for other files."""
    return _structure(dataset, [1]).get(CAMERA_RAW_ITEM)


def _check_stretch_alone(path: Path, *options: float | None) -> None:
    if any(option is not None for option in options):
        raise NircolorError(f"{path}: expected either --stretch or --scale, --offset and --reflectance")


@contextmanager
def _opened(
    file: ImageFile,
    pages: Pages | None,
    max_pixels: int | None = None,
    colours: camera_raw.Colours = "colour",
) -> Iterator[Any]:
    """Open and check a dataset; it is closed again where the block fails."""
    dataset: Any
    with gdal_for(file.path, f"cannot be opened as {file.driver}"):
        samples = None
        if file.driver in SAMPLE_DRIVERS:
            samples = find_samples(file.path, file.data, file.driver)
        elif file.driver == CAMERA_RAW:
            samples = camera_raw.develop(file.path, file.data, colours, max_pixels)
        if pages is not None and not pages.is_plain:
            dataset = PagedDataset(file.path, file.data, pages)
        elif samples is None:
            dataset = open_dataset(file.data, driver=file.driver)
        else:
            dataset = samples.open(file.data)
    try:
        with gdal_for(file.path, DAMAGED):
            check_size(file.path, dataset, file.data.stat().st_size, max_pixels)
            dataset = DatasetWithSideFiles(dataset, file.data, read_metadata(file.data, file.driver))
            if np.dtype(dataset.dtypes[0]).kind not in "uif":
                raise NircolorError(f"{file.path}: expected bands of real numbers, got {dataset.dtypes[0]}")
            yield dataset
    except BaseException:
        dataset.close()
        raise


def _orientation_of(file: ImageFile, dataset: Any, georeference: Georeference, pages: Pages | None) -> int:
    """Return the EXIF orientation; where there is none that of XMP, as Pillow does."""
    if georeference:
        return 1
    stated: int | str | None
    if pages is not None:
        stated = pages.orientation
    elif file.driver == "GTiff":
        stated = tiff_orientation(file.data)
    elif file.driver in ("NumPy", CAMERA_RAW):
        return parse_orientation(tags_of(dataset, 0, "IMAGE_STRUCTURE").get("ORIENTATION"))
    else:
        stated = None if dataset.metadata.exif is None else dataset.metadata.exif.orientation
    if stated is None and dataset.metadata.xmp is not None:
        packet = dataset.metadata.xmp.decode(errors="replace")
        stated = next(iter(xmp_properties(packet).get("orientation", [])), None)
    return parse_orientation(stated)


def _upright_size(dataset: Any, orientation: int) -> tuple[int, int]:
    """Return height and width after rotation."""
    size = (int(dataset.height), int(dataset.width))
    return size[::-1] if swaps_axes(orientation) else size


def _stretched(
    path: Path, stored: StoredImage, dataset: Any, data: Sequence[int], stretch: tuple[float, float]
) -> scaling.Scale:
    """Return the scale of percentiles of the image; `data` are stored bands, 1-based."""
    low, high = stretch
    side = min(_STRETCH_PX, isqrt(_STRETCH_VALUES // len(data)))
    window = (0, stored.height, 0, stored.width)
    shape = (min(stored.height, side), min(stored.width, side))
    values, valid = read_reduced(stored, None, window, range(len(data)), shape)
    black, white = scaling.percentile_stretch(path, values[:, valid], low, high)
    rule = f"stretch: percentiles {low:g} and {high:g}, {black:g} maps to 0 and {white:g} to 1"
    chosen = scaling.Scale.same(len(data), white, rule, "stretch", black=black)
    return chosen.inverted() if _is_inverted(dataset, data) else chosen


def _choose_scale(
    file: ImageFile,
    stored: StoredImage,
    dataset: Any,
    data: Sequence[int],
    names: Sequence[str | None],
    header: dict[str, str],
    options: dict[str, Any],
) -> scaling.Scale:
    """Choose the scale by the rule; `data` are stored bands, 1-based, `options` those of the user."""
    path, dtype = file.path, np.dtype(dataset.dtypes[0])
    if _camera_raw(dataset) is not None:
        return scaling.choose(path, dtype, len(data), stated=scaling.Scale.developed(len(data)), **options)
    stated = products.stated_scale(
        path,
        dtype,
        names,
        scales=[dataset.scales[i - 1] for i in data],
        offsets=[dataset.offsets[i - 1] for i in data],
        units=[dataset.units[i - 1] for i in data],
        tags=tags_of(dataset) | header,
        band_tags=[tags_of(dataset, i) for i in data],
    )
    largest = _stated_largest(_structure(dataset, data)) if stored.layout.palette is None else None
    if stated is None and file.driver == "GTiff" and dataset.count == 1 and dtype == np.uint16:
        stated = _counts(file, dataset, largest or 65535)
    chosen = scaling.choose(
        path,
        dtype,
        len(data),
        largest=largest,
        stated=stated,
        **options,
    )
    return chosen.inverted() if _is_inverted(dataset, data) else chosen


def _counts(file: ImageFile, dataset: Any, largest: int) -> scaling.Scale | None:
    """Return the scale of a multispectral camera's counts by the black level that it states, or None.

    MicaSense states it as DNG does, DJI and Pix4D in XMP.
    """
    packet = dataset.metadata.xmp
    xmp = {} if packet is None else xmp_properties(packet.decode(errors="replace"))
    stated = [
        number for key in ("blacklevel", "blackcurrent") for number in map(finite_number, xmp.get(key, ()))
    ]
    in_tags = tiff.level(file.data, tiff.BLACK_LEVEL)
    known = [number for number in (in_tags, *stated) if number is not None]
    white = tiff.level(file.data, tiff.WHITE_LEVEL) or largest
    if not known or not 0 < known[0] < white / 2 or white > largest:
        return None
    return scaling.Scale.counts(known[0], white)


def _stated_largest(structure: dict[str, str]) -> int | None:
    nbits, largest = structure.get("NBITS", ""), structure.get("MAXVAL", "")
    if re.fullmatch("[0-9]{1,2}", nbits):
        return 2 ** int(nbits) - 1
    # of a PGM, by `raw_samples`
    return int(largest) if re.fullmatch("[0-9]{1,5}", largest) else None


def _is_inverted(dataset: Any, data: Sequence[int]) -> bool:
    return _structure(dataset, data).get("MINISWHITE") == "YES"


def _structure(dataset: Any, data: Sequence[int]) -> dict[str, str]:
    return tags_of(dataset, 0, "IMAGE_STRUCTURE") | tags_of(dataset, data[0], "IMAGE_STRUCTURE")


def _sampled(
    stored: StoredImage, rule: scaling.Scale | Calibration, dtype: np.dtype[Any]
) -> dict[str, float]:
    """Return the largest value and the scaled median of a sample, where the scale may not suit the values."""
    stated = rule.source not in ("type", "metadata") or (rule.source == "metadata" and dtype.kind != "f")
    if stated or dtype == np.uint8 or isinstance(rule, Calibration):
        return {}
    parts = [part[:, ok] for part, ok in stored.sample() if ok.any()]
    if not parts:
        return {}
    values = np.concatenate([part[0] for part in parts])
    typical = (float(np.median(values)) - rule.black[0]) / (rule.white[0] - rule.black[0])
    return {"largest": max(float(part.max()) for part in parts), "typical": typical}
