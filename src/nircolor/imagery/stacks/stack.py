"""`Stack`: the files that make one image, as a product, a set or the user names them."""

from dataclasses import dataclass
from pathlib import Path

from nircolor.imagery.bands.sensors import ROLE_RANGES_NM


@dataclass(frozen=True)
class StackBand:
    """A file that holds one band of a stack.

    Attributes:
        file: the image.
        name: name of the band, such as ``B8A``; None to take that of the file.
        nm: centre wavelength, or None to take that of the file.
        source: what states the wavelength, for the user.
        role: part of the spectrum that the name of the file states, a key of `sensors.ROLE_RANGES_NM`.
    """

    file: Path
    name: str | None = None
    nm: float | None = None
    source: str | None = None
    role: str | None = None

    def __post_init__(self) -> None:
        assert self.role is None or self.role in ROLE_RANGES_NM


@dataclass(frozen=True)
class Stack:
    """Files of one band each that make one image.

    Attributes:
        path: as messages name it: a folder, the common start of the file names, or a list ``FILE@NM,…``.
        kind: for the user, such as "Sentinel-2 L2A".
        bands: the files, in the order of the bands.
        missing: bands that the metadata lists and that are not there, with their files.
        nodata: value of invalid pixels where the files do not declare it.
        is_camera: whether each band has a lens of its own, so that the bands do not match pixel by pixel.
        is_product: whether it is a product with more bands than a user may need; a file that cannot be
            opened then counts as missing.
    """

    path: Path
    kind: str
    bands: tuple[StackBand, ...]
    missing: tuple[str, ...] = ()
    nodata: float | None = None
    is_camera: bool = False
    is_product: bool = False
