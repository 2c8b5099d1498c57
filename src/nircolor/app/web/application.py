"""The application: the page, its files, the API and the errors they answer with."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from html import escape
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from nircolor import __version__
from nircolor.app.demo import NIR_IMAGE
from nircolor.app.terminal import describe, is_debug, print_error, print_traceback
from nircolor.app.web.api import Api
from nircolor.app.web.brake import Brake, client_of
from nircolor.app.web.documentation import render
from nircolor.app.web.guard import Guard, is_token, signed_in
from nircolor.app.web.previews import Previews
from nircolor.app.web.settings import Models, Settings
from nircolor.app.web.store import FullError, NotFoundError, Store
from nircolor.app.web.work import BusyError, Queue
from nircolor.errors import NircolorError, NircolorWarning

_STATIC = Path(__file__).with_name("static")
# between two searches for images whose time is over
_SWEEP_S = 5.0
_STATUS: dict[type[Exception], int] = {NircolorError: 422, NotFoundError: 404, BusyError: 409, FullError: 503}

DESCRIPTION = (
    "Upload near-infrared images and get colour. One request with `POST /api/colorize`, or in steps with "
    "progress and previews. Errors are JSON with one line in `detail`."
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the application.

    Threads and the folder for images exist from its start to its end (ASGI's lifespan).

    Args:
        settings: Its settings.

    Raises:
        NircolorError: A model cannot be read.
    """
    settings = settings or Settings()
    models = Models(settings)
    store = Store(settings, models)
    queue = Queue(settings, models, store, _report)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        with warnings.catch_warnings():
            _collect_warnings(store)
            sweeper = asyncio.create_task(_sweep(store))
            try:
                yield
            finally:
                sweeper.cancel()
                with suppress(asyncio.CancelledError):
                    await sweeper
                queue.close()
                store.close()

    app = FastAPI(
        title="nircolor",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        # its pages load scripts from another host; ours is made on the server
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(Api(settings, models, store, queue, Previews(settings, models, store)).router())
    brake = Brake()
    _add_pages(app, settings, brake)
    for kind in _STATUS:
        app.add_exception_handler(kind, _answer_problem)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(Exception, _answer_bug)
    app.add_middleware(Guard, settings=settings, login_page=_page("login.html"), brake=brake)
    return app


def _add_pages(app: FastAPI, settings: Settings, brake: Brake) -> None:
    def index() -> Response:
        return HTMLResponse(_page("index.html"))

    def documentation() -> Response:
        return HTMLResponse(render(app.openapi(), _page("docs.html")))

    def example() -> Response:
        return Response(NIR_IMAGE.read_bytes(), media_type="image/jpeg")

    async def login(request: Request, token: Annotated[str, Form()] = "") -> Response:
        if settings.token is None or is_token(token.encode("utf-8", "replace"), settings.token):
            return signed_in(settings.token or "")
        brake.failed(client_of(request.scope))
        return HTMLResponse(_page("login.html").replace(" hidden", "", 1), 401)

    for path, page in (("/", index), ("/docs", documentation), ("/example.jpg", example)):
        app.add_api_route(path, page, methods=["GET"], include_in_schema=False)
    app.add_api_route("/login", login, methods=["POST"], include_in_schema=False)
    app.mount("/static", StaticFiles(directory=_STATIC))


def _page(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8").replace("$version", escape(__version__))


def _collect_warnings(store: Store) -> None:
    """Give warnings about images to the store, for as long as Python's warnings are changed."""

    def show(message: Warning | str, *_place: Any, **_details: Any) -> None:
        if isinstance(message, NircolorWarning):
            store.add_warning(message)

    warnings.showwarning = show
    warnings.simplefilter("always", NircolorWarning)


async def _sweep(store: Store) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        await asyncio.to_thread(store.remove_expired)


def _report(error: BaseException) -> None:
    print_error(describe(error))
    if is_debug():
        print_traceback(error)


async def _answer_problem(_request: Any, error: Exception) -> JSONResponse:
    status = next(status for kind, status in _STATUS.items() if isinstance(error, kind))
    return JSONResponse({"detail": str(error)}, status)


async def _answer_invalid(_request: Any, error: Exception) -> JSONResponse:
    """Answer a malformed request with one line: the first field that is wrong."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = str(first["loc"][1]) if len(first["loc"]) > 1 else "body"
    given = first.get("input")
    got = f"{given!r:.60}" if isinstance(given, str | int | float) else "none"
    if name == "file":
        detail = f"file: expected a file, as in -F file=@night.png, got {got}"
    elif first["type"] == "json_invalid":
        detail = "body: expected options as JSON, got something else"
    elif first["type"] == "extra_forbidden":
        detail = f"{name}: no such option"
    else:
        # pydantic's wordings, such as "Input should be a valid number, unable to parse string as a number"
        expected = first["msg"].partition(", ")[0].removeprefix("Input should be ")
        detail = f"{name}: expected {expected[:1].lower()}{expected[1:]}, got {got}"
    return JSONResponse({"detail": detail}, 422)


async def _answer_bug(_request: Any, error: Exception) -> JSONResponse:
    _report(error)
    return JSONResponse({"detail": "unexpected error of the server; its log has the reason"}, 500)
