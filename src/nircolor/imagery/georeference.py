"""Where on Earth a image lies, as carried from input to output."""

from dataclasses import dataclass
from typing import Any, Self

from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC
from rasterio.transform import Affine

from nircolor.imagery.gdal import tags_of


@dataclass(frozen=True)
class Georeference:
    """CRS with a transform or ground control points, or RPCs; false where a file has none of them."""

    crs: CRS | None
    transform: Affine
    gcps: tuple[GroundControlPoint, ...] = ()
    gcps_crs: CRS | None = None
    rpcs: RPC | None = None
    area_or_point: str | None = None  # whether the transform means pixel corners or centres

    @classmethod
    def of_dataset(cls, dataset: Any) -> Self:
        """What an open rasterio dataset says."""
        gcps, gcps_crs = dataset.gcps
        point = tags_of(dataset).get("AREA_OR_POINT")
        return cls(dataset.crs, dataset.transform, tuple(gcps), gcps_crs, dataset.rpcs, point)

    def __bool__(self) -> bool:
        return bool(self.crs or self.gcps or self.rpcs or self.transform != Affine.identity())

    def write_to(self, dataset: Any) -> None:
        """Set it on a GeoTIFF that is open for writing."""
        if not self:
            return
        if self.area_or_point:
            dataset.update_tags(AREA_OR_POINT=self.area_or_point)
        if self.gcps:  # a GeoTIFF has these or a transform
            dataset.gcps = (list(self.gcps), self.gcps_crs)
        else:
            if self.crs:
                dataset.crs = self.crs
            if self.transform != Affine.identity():
                dataset.transform = self.transform
        if self.rpcs:
            dataset.rpcs = self.rpcs
