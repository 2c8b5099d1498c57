"""Find the images in a folder, and the files that look like images but are not read."""

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery.files import envi_files
from nircolor.imagery.files.locate import is_image
from nircolor.imagery.files.unread import (
    ENVI_WITHOUT_DATA,
    START_BYTES,
    UnreadKind,
    kind_of_content,
    kind_of_name,
)
from nircolor.imagery.stacks.find import is_product, stack_path, stacks_among
from nircolor.texts import abbreviate, count_of

# a summary names this many files
_NAMED = 3


@dataclass
class Listing:
    """Files of a folder.

    Attributes:
        images: images, sorted.
        unread: files that look like images and are not read, with their kind.
        envi_data: of given files, the data files of ENVI headers among them.
    """

    images: list[Path] = field(default_factory=list)
    unread: dict[Path, UnreadKind] = field(default_factory=dict)
    envi_data: list[Path] = field(default_factory=list)

    def unread_summary(self) -> str:
        """Return one line that counts and names the files that are not read, and says what to do."""
        names = abbreviate([path.name for path in sorted(self.unread)], _NAMED)
        kinds = dict.fromkeys(sorted(self.unread.values(), key=lambda kind: kind.name))
        advice = "; ".join(f"{kind.name}: {kind.advice}" for kind in kinds)
        return f"left out {count_of(len(self.unread), 'file')} that cannot be read: {names} ({advice})"


def find_images(folder: str | os.PathLike[str], recursive: bool = False) -> list[Path]:
    """List the images in a folder.

    Hidden files and folders, dark and white references, links to folders, and ``.hdr`` files that are not
    ENVI headers with a data file are left out. Files that make one image (`imagery.stacks`) are one entry:
    the folder of a Sentinel-2 product or Landsat scene, which is not looked into, or the common start of the
    names of a camera's set, ``IMG_0001``.

    Args:
        folder: the folder.
        recursive: include the folders below it. One that cannot be listed is left out with a
            `NircolorWarning`.

    Returns:
        Paths that begin with ``folder``, sorted.

    Raises:
        NircolorError: ``folder`` cannot be listed.
    """
    return list_folder(folder, recursive).images


def list_folder(folder: str | os.PathLike[str], recursive: bool = False) -> Listing:
    """List the images in a folder as `find_images` does, and the files that look like images."""
    folder = Path(folder)
    listing = Listing()
    product = stack_path(folder) if folder.is_dir() else None
    if product is not None:
        listing.images.append(product)
        return listing
    try:
        _add_folder(folder, recursive, listing)
    except OSError as error:
        raise NircolorError(f"{folder}: the folder cannot be listed ({error.strerror or error})") from error
    listing.images.sort()
    return listing


def list_files(files: Iterable[str | os.PathLike[str]]) -> Listing:
    """List the images among given files, as those that a pattern matches.

    Here the data file of an ENVI image counts as well as its header, but not both: then it is the header.
    """
    listing = Listing()
    siblings: dict[Path, envi_files.Siblings] = {}
    paths = []
    for path in map(Path, files):
        if path.is_dir() and is_product(path):
            listing.images.append(path)
        else:
            paths.append(path)
    for path in paths:
        if path.parent not in siblings:
            siblings[path.parent] = envi_files.Siblings(path.parent)
        if not envi_files.is_reference(path):
            _add_file(path, siblings[path.parent], listing)
    headers = set(listing.images)
    for path in paths:
        if path not in headers and not is_image(path) and not envi_files.is_reference(path):
            header = envi_files.header_file(path, siblings[path.parent])
            if header in headers:
                listing.envi_data.append(path)
            elif header is not None:
                listing.images.append(path)
    listing.images.sort()
    return listing


def _add_folder(folder: Path, recursive: bool, listing: Listing) -> None:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    has_headers = any(entry.suffix.lower() == ".hdr" for entry in entries)
    siblings = envi_files.Siblings(folder) if has_headers else None
    stacks = stacks_among(entries)
    listing.images += stacks
    in_stacks = {file for files in stacks.values() for file in files}
    for entry in entries:
        if entry in in_stacks:
            continue
        if entry.is_dir():
            if not entry.is_symlink() and is_product(entry):
                listing.images.append(entry)
            elif recursive and not entry.is_symlink():
                try:
                    _add_folder(entry, recursive, listing)
                except PermissionError:
                    warnings.warn(f"{entry}: left out, it may not be read", NircolorWarning, stacklevel=2)
        elif not envi_files.is_reference(entry):
            _add_file(entry, siblings, listing)


def _add_file(path: Path, siblings: envi_files.Siblings | None, listing: Listing) -> None:
    if siblings is not None and path.suffix.lower() == ".hdr":
        is_envi, kind = _header_kind(path, siblings)
        if is_envi:
            listing.images.append(path)
        elif kind is not None:
            listing.unread[path] = kind
        return
    kind = kind_of_name(path)
    if is_image(path) and kind is None:
        listing.images.append(path)
    else:
        is_envi_data = siblings is not None and envi_files.header_file(path, siblings) is not None
        if kind is not None and not is_envi_data:
            listing.unread[path] = kind


def _header_kind(path: Path, siblings: envi_files.Siblings) -> tuple[bool, UnreadKind | None]:
    """Return whether a ``.hdr`` is an ENVI header with data; if not, also its kind, None for unknown ones."""
    if not path.is_file():  # reading a pipe would wait for its writer; opening it as an image says what it is
        return True, None
    try:
        with path.open("rb") as file:
            start = file.read(START_BYTES)
        if not start:  # of an image beside it, or else a damaged ENVI header: opening it says so
            named = [file for file in siblings.with_stem(path.stem) if file != path]
            is_foreign = any(map(is_image, named)) and not any(
                file.suffix.lower() in envi_files.DATA_EXTENSIONS for file in named
            )
            return not is_foreign, ENVI_WITHOUT_DATA
        if not start.startswith(b"ENVI"):
            return False, kind_of_content(start)
        return envi_files.find_data(path, path, siblings) is not None, ENVI_WITHOUT_DATA
    except (NircolorError, OSError):  # as with an empty file, opening it says what is wrong
        return True, None
