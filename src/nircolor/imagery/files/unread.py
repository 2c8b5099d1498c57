"""Image and video files that nircolor does not read: recognize them, and say what to do instead."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nircolor.imagery.files import tiff

# bytes at the start of a file that `kind_of_content` needs
START_BYTES = 132

_CFA, _LINEAR_RAW = (32803,), (34892,)


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
CAMERA_RAW = _kind(
    "camera raw",
    "convert to a 16-bit TIFF first, for example with rawpy",
    "3fr arw cap cr2 cr3 crw dcr dng erf fff gpr iiq k25 kdc mef mos mrw nef nrw orf pef raf rw2 rwl sr2 srf "
    "srw x3f",
    b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM", b"II\x1a\0\0\0HEAPCCDR",
)  # fmt: skip
VIDEO = _kind(
    "video",
    "export its images first, for example with ffmpeg",
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
    CAMERA_RAW, VIDEO, _HEIF, _RADIANCE, _ENVI_LIKE, _WITH_MARK,
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
# brands of the container that HEIC, AVIF, CR3 and videos share; all other brands are videos
_BRANDS = {b"crx ": CAMERA_RAW} | dict.fromkeys(
    (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1"), _HEIF
)


def kind_of_name(path: Path) -> UnreadKind | None:
    """Return the kind of file that a name's extension stands for, None where it is not one of these."""
    return _BY_EXTENSION.get(path.suffix.lower())


def kind_of_content(start: bytes) -> UnreadKind | None:
    """Return the kind of file that begins with ``start`` (`START_BYTES`), None where it is none of these."""
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12], VIDEO)
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return VIDEO
    return next((kind for kind in _KINDS if start.startswith(kind.signatures)), None)


def is_camera_raw(path: Path, file: BinaryIO) -> bool:
    """Return whether a file with the signature of a TIFF is a camera raw file.

    GDAL would read its first page, which is a thumbnail or a mosaic of coloured filters. TIFFs of one band
    with the tags of DNG, as some multispectral cameras write them, are images.

    Args:
        path: for its extension.
        file: the file, open at its start.
    """
    if path.suffix.lower() in CAMERA_RAW.extensions:
        return True
    try:
        if file.read(10)[8:] == b"CR":  # Canon's CR2
            return True
        file.seek(0)
        reader = tiff.TiffTags(file)
        page, _ = reader.directory(reader.first)
        if page.get(tiff.PHOTOMETRIC) == _CFA:
            return True
        is_thumbnail = page.get(tiff.SUBFILE_TYPE) == (1,)
        if tiff.DNG_VERSION in page and (is_thumbnail or page.get(tiff.SAMPLES_PER_PIXEL, (1,)) != (1,)):
            return True
        offsets = page.get(tiff.SUB_IFDS, ())
        kinds = [reader.directory(offset)[0].get(tiff.PHOTOMETRIC) for offset in offsets[:16] if offset]
    except (OSError, ValueError):
        return False
    return any(kind in (_CFA, _LINEAR_RAW) for kind in kinds)
