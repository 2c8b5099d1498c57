"""Size, pixel type and georeference of an image: the parts of an input that its output takes over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.rpc import RPC
from rasterio.transform import Affine

from nircolor.imagery.gdal import tags_of
from nircolor.imagery.metadata.carried import Metadata


@dataclass(frozen=True)
class Georeference:
    """Location of an image on Earth. False in a boolean context where the file states none.

    Attributes:
        crs: coordinate reference system of `transform`.
        transform: maps (column, row) to coordinates; the identity where there is none.
        gcps: ground control points, in `gcps_crs`; a file has these or a transform.
        gcps_crs: coordinate reference system of `gcps`.
        rpcs: rational polynomial coefficients of a satellite scene.
        area_or_point: "Area" or "Point": whether coordinates refer to pixel corners or centres.
    """

    crs: CRS | None
    transform: Affine
    gcps: tuple[GroundControlPoint, ...] = ()
    gcps_crs: CRS | None = None
    rpcs: RPC | None = None
    area_or_point: str | None = None

    @classmethod
    def of_dataset(cls, dataset: Any) -> Self:
        """Read the georeference of an open rasterio dataset."""
        gcps, gcps_crs = dataset.gcps
        point = tags_of(dataset).get("AREA_OR_POINT")
        crs = dataset.crs
        try:
            bool(crs)
        except CRSError:  # it cannot be written as text, and so not to an output
            crs = None
        return cls(crs, dataset.transform, tuple(gcps), gcps_crs, dataset.rpcs, point)

    def __bool__(self) -> bool:
        return bool(self.crs or self.gcps or self.rpcs or self.transform != Affine.identity())

    def write_to(self, dataset: Any) -> None:
        """Set the georeference of a GeoTIFF that is open for writing."""
        if not self:
            return
        if self.area_or_point:
            dataset.update_tags(AREA_OR_POINT=self.area_or_point)
        if self.gcps:
            dataset.gcps = (list(self.gcps), self.gcps_crs or CRS())
        else:
            if self.crs:
                dataset.crs = self.crs
            if self.transform != Affine.identity():
                dataset.transform = self.transform
        if self.rpcs:
            dataset.rpcs = self.rpcs


@dataclass(frozen=True)
class Grid:
    """Size, pixel type, georeference and metadata of an image, as a writer needs them.

    Attributes:
        width: in pixels, of the upright image.
        height: in pixels, of the upright image.
        dtype: type of the values in the file.
        georeference: location on Earth.
        nodata: value that marks invalid pixels, or None.
        has_alpha: whether the file has an alpha channel.
        has_mask: whether the file has a mask band or transparent colours.
        may_have_invalid: whether pixels can be invalid: alpha, mask, nodata or floating point.
        metadata: EXIF, XMP and ICC profile.
        tags: other metadata by name, as GDAL lists it.
        is_rotated: whether the upright image is a rotated or mirrored one.
    """

    width: int
    height: int
    dtype: np.dtype[Any]
    georeference: Georeference
    nodata: float | None
    has_alpha: bool
    has_mask: bool
    may_have_invalid: bool
    metadata: Metadata = field(default_factory=Metadata)
    tags: Mapping[str, str] = field(default_factory=dict)
    is_rotated: bool = False

    @property
    def depth(self) -> int:
        """Bits per channel, 8 or 16, of an output that keeps the precision of the input."""
        return 8 if self.dtype.itemsize == 1 else 16
