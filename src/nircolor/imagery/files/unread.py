"""Image and video files that nircolor does not read: recognize them, and say what to do instead."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from nircolor.extras import install_command
from nircolor.imagery.files.signatures import CAMERA_RAW_EXTENSIONS

# bytes at the start of a file that `kind_of_content` needs
START_BYTES = 132


@dataclass(frozen=True)
class UnreadKind:
    """A kind of file that is not read.

    Attributes:
        name: as messages call it.
        advice: what to do instead.
        extensions: in lower case, with the dot.
        signatures: first bytes.
    """

    name: str
    advice: str
    extensions: frozenset[str] = frozenset()
    signatures: tuple[bytes, ...] = ()


def _kind(name: str, advice: str, extensions: str, *signatures: bytes) -> UnreadKind:
    return UnreadKind(
        name, advice, frozenset(f".{extension}" for extension in extensions.split()), signatures
    )


_TO_TIFF = "save as PNG or 16-bit TIFF"
VIDEO = _kind(
    "video",
    "nircolor colorize and info alone read them; else export their images, for example with ffmpeg",
    "3gp avi flv m2ts m4v mjpeg mjpg mkv mov mp4 mpeg mpg mts nut ogv ts webm wmv y4m",
    b"\x1aE\xdf\xa3", b"\0\0\x01\xba", b"YUV4MPEG2", b"FLV\1", b"nut/multimedia container\0",
)  # fmt: skip
_HEIF = _kind("HEIC and AVIF", _TO_TIFF, "avif heic heif hif")
_RADIANCE = _kind("Radiance HDR", _TO_TIFF, "", b"#?RADIANCE", b"#?RGBE")
_ENVI_LIKE = _kind("raw", "they need an ENVI header (.hdr) beside them", "bil bip bsq raw")
ENVI_WITHOUT_DATA = _kind("ENVI header without data", "put its data file beside it", "")
_WITH_MARK = _kind(
    "UTF-8-marked ENVI header", "save it as plain text, without the mark", "", b"\xef\xbb\xbfENVI"
)
_KINDS = (
    VIDEO, _HEIF, _RADIANCE, _ENVI_LIKE, _WITH_MARK,
    _kind("GIF", _TO_TIFF, "gif", b"GIF87a", b"GIF89a"),
    _kind("Photoshop", _TO_TIFF, "psb psd", b"8BPS"),
    _kind("OpenEXR", _TO_TIFF, "exr", b"v/1\x01"),
    _kind("JPEG XL", _TO_TIFF, "jxl", b"\xff\x0a", b"\0\0\0\x0cJXL "),
    _kind("JPEG XR", _TO_TIFF, "hdp jxr wdp", b"II\xbc\x01"),
    _kind("one-bit PNM", "save as PNG", "pbm", b"P1", b"P4"),
    _kind("PAM and PFM", _TO_TIFF, "pam pfm", b"P7\n", b"PF\n", b"Pf\n"),
    _kind("ICO, PCX, TGA and XCF", _TO_TIFF, "ico pcx tga xcf", b"gimp xcf"),
    _kind("ZIP and TAR", "unpack it first", "tar tgz zip"),
    _kind("NumPy archive", "save one array as .npy", "npz"),
    _kind("HDF and NetCDF", "save the bands as GeoTIFF or .npy", "cdf h4 h5 hdf hdf5 he4 he5 nc nc4",
          b"\x89HDF\r\n\x1a\n", b"\x0e\x03\x13\x01", b"CDF\x01", b"CDF\x02"),
    _kind("MATLAB", "save the bands as GeoTIFF or .npy", "mat", b"MATLAB "),
    _kind("FITS", "save the bands as GeoTIFF or .npy", "fit fits fts", b"SIMPLE  ="),
    _kind("medical and microscopy", _TO_TIFF, "czi dcm lif nd2 nii oib oif"),
    _kind("VRT", "they refer to other files; convert to GeoTIFF with gdal_translate", "vrt", b"<VRTDataset"),
    _kind("ERDAS, ECW, NITF and MrSID", "convert to GeoTIFF with gdal_translate",
          "ecw kea mrf ntf pix sid", b"EHFA_HEADER_TAG", b"NITF"),
)  # fmt: skip

_BY_EXTENSION = {extension: kind for kind in _KINDS for extension in kind.extensions}
EXTENSIONS = frozenset(_BY_EXTENSION)
# brands of the container that HEIC, AVIF and videos share (and CR3); all other brands are videos
_BRANDS = dict.fromkeys((b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1"), _HEIF)


def kind_of_name(path: Path) -> UnreadKind | None:
    """Return the kind of file that a name's extension stands for, None where it is not one of these.

    Camera raw is read where rawpy is installed, and else one of these kinds.
    """
    extension = path.suffix.lower()
    if extension in CAMERA_RAW_EXTENSIONS and find_spec("rawpy") is None:
        return UnreadKind("camera raw", f"{install_command('raw')} reads them")
    return _BY_EXTENSION.get(extension)


def kind_of_content(start: bytes) -> UnreadKind | None:
    """Return the kind of file that begins with ``start`` (`START_BYTES`), None where it is none of these."""
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12], VIDEO)
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return VIDEO
    return next((kind for kind in _KINDS if start.startswith(kind.signatures)), None)
