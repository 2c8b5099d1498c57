"""The HTTP API."""

import asyncio
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, BackgroundTasks, File, Form, Query, Request, UploadFile
from fastapi.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from nircolor import __version__
from nircolor.app.terminal import printable
from nircolor.app.web.archive import archive
from nircolor.app.web.brake import client_of
from nircolor.app.web.metrics import metrics
from nircolor.app.web.previews import Previews
from nircolor.app.web.schemas import (
    ColorizeForm,
    Health,
    ImageState,
    OfferedModel,
    Options,
    Problem,
    ServerInfo,
)
from nircolor.app.web.settings import Models, Settings
from nircolor.app.web.store import Image, NotFoundError, Store
from nircolor.app.web.work import BusyError, Queue
from nircolor.errors import NircolorError
from nircolor.imagery import EXTENSIONS
from nircolor.modelfile import describe_bands

# between two looks at the state of an image whose client waits for the result
_WAIT_S = 0.05
_IMAGES, _ONE = "Images in steps", "One request"
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "No such image."},
    409: {"model": Problem, "description": "The image is being colorized, or has no result."},
    413: {"model": Problem, "description": "The upload is too large."},
    422: {"model": Problem, "description": "The image or an option is not accepted."},
    503: {"model": Problem, "description": "The server is full."},
}


def _problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    return {code: _PROBLEMS[code] for code in codes}


class Api:
    """Handlers of the API.

    Args:
        settings: Limits.
        models: The models.
        store: The images.
        queue: The queue.
        previews: Makes previews.
    """

    def __init__(
        self, settings: Settings, models: Models, store: Store, queue: Queue, previews: Previews
    ) -> None:
        self._settings, self._models, self._store = settings, models, store
        self._queue, self._previews = queue, previews

    def router(self) -> APIRouter:
        """Return the addresses of the API."""
        router = APIRouter()
        one = "/api/images/{key}"
        image: dict[str, Any] = {"tags": [_IMAGES]}
        router.add_api_route(
            "/api/colorize", self.colorize, methods=["POST"], tags=[_ONE], responses=_problems(413, 422, 503),
            response_class=FileResponse, summary="Colorize a file and get the result",
        )  # fmt: skip
        router.add_api_route(
            "/api/images", self.add, methods=["POST"], status_code=201, response_model=ImageState,
            responses=_problems(413, 422, 503), summary="Upload an image", **image,
        )  # fmt: skip
        router.add_api_route(
            "/api/images", self.states, methods=["GET"], response_model=list[ImageState],
            summary="Get the state of several images", **image,
        )  # fmt: skip
        router.add_api_route(
            one, self.state, methods=["GET"], response_model=ImageState, responses=_problems(404),
            summary="Get the state of an image", **image,
        )  # fmt: skip
        router.add_api_route(
            one, self.remove, methods=["DELETE"], status_code=204, responses=_problems(404),
            summary="Delete an image and its result", **image,
        )  # fmt: skip
        router.add_api_route(
            f"{one}/run", self.start, methods=["POST"], status_code=202, response_model=ImageState,
            responses=_problems(404, 409, 422), summary="Colorize an image", **image,
        )  # fmt: skip
        router.add_api_route(
            f"{one}/run", self.cancel, methods=["DELETE"], response_model=ImageState,
            responses=_problems(404), summary="Cancel the work on an image", **image,
        )  # fmt: skip
        router.add_api_route(
            f"{one}/result", self.result, methods=["GET"], responses=_problems(404, 409),
            response_class=FileResponse, summary="Get the result", **image,
        )  # fmt: skip
        router.add_api_route(
            f"{one}/confidence", self.confidence, methods=["GET"], responses=_problems(404, 409),
            response_class=FileResponse, summary="Get the confidence of the result", **image,
        )  # fmt: skip
        router.add_api_route(
            f"{one}/before.jpg", self.before, methods=["GET"], responses=_problems(404, 422),
            response_class=Response, summary="Get a preview of the image", **image,
        )  # fmt: skip
        router.add_api_route(
            f"{one}/after.jpg", self.after, methods=["GET"], responses=_problems(404, 409),
            response_class=Response, summary="Get a preview of the result", **image,
        )  # fmt: skip
        router.add_api_route(
            f"{one}/confidence.jpg", self.confidence_preview, methods=["GET"], responses=_problems(404, 409),
            response_class=Response, summary="Get a preview of the confidence", **image,
        )  # fmt: skip
        router.add_api_route(
            "/api/archive", self.archive, methods=["GET"], responses=_problems(404, 409),
            response_class=StreamingResponse, summary="Get several results as a ZIP", **image,
        )  # fmt: skip
        router.add_api_route(
            "/api", self.info, methods=["GET"], response_model=ServerInfo, tags=["Server"],
            summary="Get the limits and models of the server",
        )  # fmt: skip
        router.add_api_route(
            "/health", self.health, methods=["GET"], response_model=Health, tags=["Server"],
            summary="Check that the server is up; needs no token",
        )  # fmt: skip
        router.add_api_route(
            "/metrics", self.metrics, methods=["GET"], response_class=PlainTextResponse, tags=["Server"],
            summary="Get figures for Prometheus",
        )  # fmt: skip
        return router

    async def colorize(
        self,
        request: Request,
        background: BackgroundTasks,
        form: Annotated[ColorizeForm, Form(media_type="multipart/form-data")],
    ) -> Response:
        """The result has the format, size, bit depth and georeference of the file, byte for byte as from
        `nircolor colorize`. With `confidence` it is a ZIP of the colour image and the image of the
        confidence, `NAME_confidence.png` or `.tif`. Warnings are in headers `Nircolor-Warning`. The server
        keeps nothing."""
        options = form.options
        self._models.check(options.model)
        image = await run_in_threadpool(self._added, request, form.file)
        try:
            self._queue.add(image, options)
            while image.is_busy:
                await asyncio.sleep(_WAIT_S)
                if await request.is_disconnected():
                    raise NotFoundError("the client has gone")
            if image.error is not None:
                raise NircolorError(image.error)
        except BaseException:
            await run_in_threadpool(self._removed, image)
            raise
        background.add_task(self._removed, image)
        answer = _archive(f"{Path(image.name).stem}.zip", [image]) if options.confidence else _file(image)
        answer.headers["Nircolor-Model"] = str(image.model)
        for warning in image.warnings:
            text = printable(warning).encode("ascii", "backslashreplace").decode()
            answer.headers.append("Nircolor-Warning", text)
        answer.background = background
        return answer

    def add(
        self,
        request: Request,
        file: Annotated[
            list[UploadFile],
            File(description="The image; repeated for files that belong to it, as ENVI header and data."),
        ],
    ) -> ImageState:
        """Says what the image holds and which models fit it."""
        return self._state(self._added(request, file))

    async def states(self, id: Annotated[list[str], Query(max_length=1000)]) -> list[ImageState]:
        """Images that do not exist any more are left out."""
        found = []
        for key in id:
            try:
                found.append(self._state(self._store.get(key)))
            except NotFoundError:
                continue
        return found

    async def state(self, key: str) -> ImageState:
        return self._state(self._store.get(key))

    def remove(self, key: str) -> Response:
        self._removed(self._store.get(key))
        return Response(status_code=204)

    async def start(self, key: str, options: Options) -> ImageState:
        """The image joins the queue; its state tells the progress."""
        image = self._store.get(key)
        self._queue.add(image, options)
        return self._state(image)

    async def cancel(self, key: str) -> ImageState:
        image = self._store.get(key)
        self._queue.cancel(image)
        return self._state(image)

    def result(self, key: str) -> FileResponse:
        return _file(self._store.get(key))

    def confidence(self, key: str) -> FileResponse:
        """A gray image, which is bright where the colour is well determined; the largest value means 1."""
        return _file(self._store.get(key), "confidence")

    def before(self, key: str) -> Response:
        """JPEG of at most 1600 px."""
        image = self._store.get(key)
        try:
            return _jpeg(self._previews.before(image))
        except NircolorError as error:
            raise NircolorError(image.worded(str(error))) from None

    def after(self, key: str) -> Response:
        """JPEG of at most 1600 px."""
        image = self._store.get(key)
        return _jpeg(self._previews.after(image, _output_of(image)[1]))

    def confidence_preview(self, key: str) -> Response:
        """JPEG of at most 1600 px."""
        image = self._store.get(key)
        return _jpeg(self._previews.confidence(image, _output_of(image, "confidence")[1]))

    def archive(self, id: Annotated[list[str], Query(max_length=1000)]) -> StreamingResponse:
        """With the images of the confidence where they were asked for. Equal names are numbered."""
        return _archive("nircolor.zip", [self._store.get(key) for key in id])

    async def info(self) -> ServerInfo:
        offered = [
            OfferedModel(
                name=card.name,
                summary=card.summary,
                bands=describe_bands(card.bands),
                confidence=card.error_quantile is not None,
                licence=card.licence.weights,
            )
            for card in self._models.cards.values()
        ]
        settings = self._settings
        return ServerInfo(
            version=__version__,
            max_upload_bytes=settings.max_upload_bytes,
            max_pixels=settings.max_pixels,
            keep_seconds=settings.keep_seconds,
            extensions=sorted(EXTENSIONS),
            models=offered,
        )

    async def health(self) -> Health:
        return Health(version=__version__)

    async def metrics(self) -> PlainTextResponse:
        return PlainTextResponse(metrics(self._store, self._queue), media_type="text/plain; version=0.0.4")

    def _added(self, request: Request, files: Sequence[UploadFile]) -> Image:
        image = self._store.add([(file.filename or "image", file.file) for file in files])
        image.client = client_of(request.scope)
        return image

    def _removed(self, image: Image) -> None:
        self._queue.cancel(image)
        self._store.remove(image)

    def _state(self, image: Image) -> ImageState:
        return self._store.state_of(image, self._queue.position_of(image))


def _output_of(image: Image, kind: Literal["result", "confidence"] = "result") -> tuple[str, Path]:
    """Return the name for the download and the path of a file of an image."""
    if not image.results:
        raise BusyError(f"{image.name}: has no result (state: {image.state})")
    if kind == "result":
        return image.results[0]
    if image.confidence is None:
        raise BusyError(f"{image.name}: has no image of the confidence; run it with the option confidence")
    return image.results[1]


def _archive(name: str, images: Sequence[Image]) -> StreamingResponse:
    for image in images:
        _output_of(image)
    return StreamingResponse(
        archive([file for image in images for file in image.results]),
        media_type="application/zip",
        headers={"content-disposition": f"attachment; filename*=utf-8''{quote(name)}"},
    )


def _jpeg(content: bytes) -> Response:
    # the page adds the number of the run to the address
    return Response(content, media_type="image/jpeg", headers={"cache-control": "private, max-age=600"})


def _file(image: Image, kind: Literal["result", "confidence"] = "result") -> FileResponse:
    name, path = _output_of(image, kind)
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return FileResponse(path, media_type=media_type, filename=name)
