"""Uploaded images and their results, on disk for a limited time."""

import os
import re
import secrets
import shutil
import tempfile
import threading
import time
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from nircolor import staging
from nircolor.app.fitting import fits_of
from nircolor.app.web.schemas import Fit, ImageState, Options, ResultFile, State
from nircolor.app.web.settings import Models, Settings
from nircolor.errors import NircolorError, NircolorWarning
from nircolor.imagery import list_files, open_raster
from nircolor.inference import confidence_path
from nircolor.texts import abbreviate

_LONGEST_NAME = 200
# of a hyperspectral cube, only the first wavelengths are listed
_LISTED_BANDS = 16
# left free on the disk beside an upload and its result
_SPARE_BYTES = 500_000_000
# images that are inspected or previewed at the same time
_READERS = 2


class NotFoundError(Exception):
    """There is no such image: it was deleted, or never existed."""


class FullError(Exception):
    """The server cannot take another image now."""


@dataclass(eq=False)
class Image:
    """An uploaded image.

    Attributes:
        id: Secret name.
        name: Name of the file as it was uploaded; only shown.
        folder: Folder of its own, with ``in/`` and, for a result, ``out/``.
        path: The file to open, inside ``in/``.
        names: The uploaded name of each file in ``in/``.
        state: What is happening to it.
        options: As last given.
        progress: Share of the pixels that are colorized.
        run: Number of times that it was colorized.
        model: Name of the model that was used.
        summary: Bands and scale that were used.
        warnings: Doubts about it.
        error: Why it failed.
        output: The result.
        confidence: The image of the confidence, where it was asked for.
        details: Properties that do not change: fields of `ImageState`.
        since: Time of the last change of its state, from `time.monotonic`.
        client: Address of the client that uploaded it.
        is_cancelled: Whether its work is to be stopped.
        lock: Held while previews are made.
    """

    id: str
    name: str
    folder: Path
    path: Path
    names: Mapping[str, str]
    state: State = "ready"
    options: Options = field(default_factory=Options)
    progress: float = 0.0
    run: int = 0
    model: str | None = None
    summary: str | None = None
    warnings: list[str] = field(default_factory=list)
    error: str | None = None
    output: Path | None = None
    confidence: Path | None = None
    details: dict[str, Any] = field(default_factory=dict)
    since: float = field(default_factory=time.monotonic)
    client: str = ""
    is_cancelled: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_busy(self) -> bool:
        """Whether it waits for its work or is worked on."""
        return self.state in ("queued", "running")

    @property
    def results(self) -> list[tuple[str, Path]]:
        """Name for the download and path of the result, and of the confidence where there is one."""
        if self.state != "done" or self.output is None:
            return []
        stem = self.output.stem if self.path.name == self.name else Path(self.name).stem
        name = f"{stem}{self.output.suffix}"
        results = [(name, self.output)]
        if self.confidence is not None:
            results.append((confidence_path(Path(name)).name, self.confidence))
        return results

    def worded(self, message: str) -> str:
        """Return a message with the uploaded names in place of paths on the server."""
        for stored, uploaded in self.names.items():
            message = message.replace(str(self.folder / "in" / stored), uploaded)
        for part in ("in", "out"):
            message = message.replace(f"{self.folder / part}{os.sep}", "")
        return message


class Store:
    """The images that the server holds.

    They lie in a hidden folder for temporary files, which is removed when the server stops; that of a killed
    server is removed by the next one.

    Args:
        settings: Limits.
        models: Models to try on each image.

    Attributes:
        uploaded: Bytes uploaded since the start.
    """

    def __init__(self, settings: Settings, models: Models) -> None:
        self._settings, self._models = settings, models
        self._folder = staging.create(Path(tempfile.gettempdir()))
        self._images: dict[str, Image] = {}
        self._lock = threading.Lock()
        self._readers = threading.BoundedSemaphore(_READERS)
        self._thread = threading.local()
        self.uploaded = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Context for reading images beside the queue; some at a time, and without their warnings."""
        with self._readers:
            self._thread.is_reading = True
            try:
                yield
            finally:
                self._thread.is_reading = False

    def add_warning(self, warning: NircolorWarning) -> None:
        """Add a warning to those of the image that it concerns, if it comes from the work on it.

        Threads work on several images: the file tells which one it is.
        """
        found = re.search(r"[/\\]image-([\w-]+)[/\\]", warning.path or "")
        image = None if found is None else self._images.get(found[1])
        if image is None or image.state != "running" or getattr(self._thread, "is_reading", False):
            return
        text = image.worded(warning.problem)
        if text not in image.warnings:
            image.warnings.append(text)

    def close(self) -> None:
        """Delete everything."""
        self._images.clear()
        staging.remove(self._folder)

    def __len__(self) -> int:
        return len(self._images)

    def add(self, files: Sequence[tuple[str, BinaryIO]]) -> Image:
        """Store an image and inspect it.

        Args:
            files: Uploaded name and content of the image and of files that belong to it.

        Raises:
            NircolorError: The files are not an image that is read, or it is too large.
            FullError: Too many images, or the disk is full.
        """
        if len(self._images) >= self._settings.max_images:
            raise FullError(f"the server holds {len(self._images)} images, its limit; try again later")
        if shutil.disk_usage(self._folder).free < 2 * self._settings.max_upload_bytes + _SPARE_BYTES:
            raise FullError("the disk of the server is nearly full; try again later")
        key = secrets.token_urlsafe(18)
        # the key may begin with a hyphen, but is never part of a path that somebody types
        folder = self._folder / f"image-{key}"
        try:
            image = self._stored(key, folder, files)
            with self.reading():
                self._inspect(image)
        except NircolorError as error:
            shutil.rmtree(folder, ignore_errors=True)
            names = {safe_name(name): name for name, _ in files}
            raise NircolorError(Image(key, "", folder, folder, names).worded(str(error))) from None
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise FullError(f"the upload cannot be stored ({error.strerror or error})") from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        with self._lock:
            self._images[key] = image
        return image

    def get(self, key: str) -> Image:
        """Return an image.

        Raises:
            NotFoundError: There is none.
        """
        image = self._images.get(key)
        if image is None:
            raise NotFoundError("no such image; images are deleted some time after they are finished")
        return image

    def remove(self, image: Image) -> None:
        """Delete an image and its result; work on it is stopped first."""
        with self._lock:
            self._images.pop(image.id, None)
        image.is_cancelled = True
        if image.state != "running":
            shutil.rmtree(image.folder, ignore_errors=True)

    def finish(self, image: Image, state: State) -> None:
        """Set the state of an image after work on it, and delete it if that was asked for meanwhile."""
        image.state, image.since = state, time.monotonic()
        if image.id not in self._images:
            shutil.rmtree(image.folder, ignore_errors=True)

    def remove_expired(self) -> None:
        """Delete the images whose time is over."""
        now = time.monotonic()
        for image in list(self._images.values()):
            if not image.is_busy and now - image.since > self._settings.keep_seconds:
                self.remove(image)

    def state_of(self, image: Image, position: int) -> ImageState:
        """Describe an image for clients.

        Args:
            image: The image.
            position: Number of images before it in the queue.
        """
        files = [ResultFile(name=name, bytes=path.stat().st_size) for name, path in image.results]
        result, confidence = (*files, None, None)[:2]
        return ImageState(
            **image.details,
            id=image.id,
            name=image.name,
            state=image.state,
            position=position,
            progress=image.progress,
            run=image.run,
            model=image.model,
            summary=image.summary,
            warnings=image.warnings,
            error=image.error,
            result=result,
            confidence=confidence,
            expires_in=max(0.0, image.since + self._settings.keep_seconds - time.monotonic()),
        )

    def _stored(self, key: str, folder: Path, files: Sequence[tuple[str, BinaryIO]]) -> Image:
        inside = folder / "in"
        inside.mkdir(parents=True)
        names: dict[str, str] = {}
        for uploaded, content in files:
            name = safe_name(uploaded)
            if name in names:
                raise NircolorError(f"{uploaded}: expected files with different names, got it twice")
            names[name] = uploaded
            with (inside / name).open("wb") as target:
                shutil.copyfileobj(content, target, 1 << 20)
            self.uploaded += (inside / name).stat().st_size
        path = _image_among([inside / name for name in names])
        return Image(key, names[path.name], folder, path, names)

    def _inspect(self, image: Image) -> None:
        with open_raster(image.path, max_pixels=self._settings.max_pixels) as raster:
            image.details = {
                "format": raster.driver,
                "width": raster.width,
                "height": raster.height,
                "dtype": str(raster.dtype),
                "bands": raster.bands,
                "wavelengths_nm": list(raster.wavelengths_nm[:_LISTED_BANDS]),
                "crs": None if raster.crs is None else raster.crs.to_string(),
                "models": [
                    Fit(
                        name=fit.card.name,
                        fits=fit.reason is None,
                        reason=None if fit.reason is None else image.worded(fit.reason),
                        options=fit.options.strip(),
                    )
                    for fit in fits_of(raster, self._models.cards.values())
                ],
            }


def _image_among(files: Sequence[Path]) -> Path:
    """Return the image among files that belong together.

    Raises:
        NircolorError: Several are images, or none is.
    """
    found = list_files(files).images
    if len(found) == 1:
        return found[0]
    if len(files) == 1:
        return files[0]
    names = abbreviate([file.name for file in found or files], 3)
    raise NircolorError(f"expected one image, with the files that belong to it, in a request; got {names}")


def safe_name(uploaded: str) -> str:
    r"""Return the name under which an uploaded file is stored.

    It keeps letters, digits, dots and hyphens alone, since the name of a file may tell its band and pairs
    the files of an image. It has no folders.

    Raises:
        NircolorError: The name is too long.

    Examples:
        >>> safe_name("T32_B08.tif"), safe_name("../../etc/pass wd"), safe_name(r"C:\été.png")
        ('T32_B08.tif', 'pass_wd', 'ete.png')
    """
    last = re.split(r"[/\\]", uploaded)[-1]
    plain = unicodedata.normalize("NFKD", last).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]", "_", plain).strip(".")
    if len(name) > _LONGEST_NAME:
        raise NircolorError(
            f"{uploaded[:30]}…: expected a name of at most {_LONGEST_NAME} characters, got {len(name)}"
        )
    return name or "image"
