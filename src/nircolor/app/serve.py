"""Command `nircolor serve`."""

import ipaddress
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from nircolor.app import stopping
from nircolor.app.options import DeviceName
from nircolor.app.terminal import printable, show
from nircolor.app.usage import RUN, complete_model, whole
from nircolor.errors import NircolorError

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
ADDRESS: Final = "Address"
LIMITS: Final = "Limits"


def serve(
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on; 0.0.0.0 for all of this computer, which others can reach then.",
            rich_help_panel=ADDRESS,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            parser=whole(0, 65535),
            metavar="N",
            help="Port to listen on; 0 for any that is free.",
            rich_help_panel=ADDRESS,
        ),
    ] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Secret that the page asks for and that requests of the API must have.",
            envvar="NIRCOLOR_TOKEN",
            rich_help_panel=ADDRESS,
        ),
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="FILE",
            help="Model file to offer beside the shipped models; may be repeated.",
            rich_help_panel=RUN,
            autocompletion=complete_model,
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            parser=whole(1),
            metavar="N",
            help="Number of images processed in parallel; the others wait.",
            envvar="NIRCOLOR_JOBS",
            rich_help_panel=RUN,
        ),
    ] = 1,
    device: DeviceName = "auto",
    max_upload: Annotated[
        int,
        typer.Option(
            parser=whole(1), metavar="MB", help="Largest upload in megabytes.", rich_help_panel=LIMITS
        ),
    ] = 200,
    max_pixels: Annotated[
        int,
        typer.Option(
            parser=whole(1),
            metavar="N",
            help="Largest number of pixels of an image.",
            envvar="NIRCOLOR_MAX_PIXELS",
            rich_help_panel=LIMITS,
        ),
    ] = 100_000_000,
    keep: Annotated[
        int,
        typer.Option(
            parser=whole(1),
            metavar="MINUTES",
            help="Time after which images and results are deleted.",
            rich_help_panel=LIMITS,
        ),
    ] = 60,
) -> None:
    """Start a web page that colorizes images, with an HTTP API.

    It listens on this computer alone, unless --host says otherwise. Images are kept in a temporary folder,
    and deleted after a while and when the server stops. The page loads nothing from other hosts.

    \b
    nircolor serve
    nircolor serve --port 9000 --max-upload 1000
    NIRCOLOR_TOKEN=secret nircolor serve --host 0.0.0.0
    """
    from nircolor.extras import require

    for package in ("fastapi", "uvicorn", "python_multipart"):
        require(package, extra="web", what="nircolor serve")
    stopping.promise("all images are deleted")
    # as in `colorize`: OpenBLAS's threads would keep waiting actively
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    listener = _listen(host, port)
    import uvicorn

    from nircolor.app.console import errors
    from nircolor.app.web import Settings, create_app

    is_local = _is_loopback(host)
    settings = Settings(
        models=model or [],
        token=token,
        hosts=frozenset({*_LOOPBACK, host.lower()}) if is_local else frozenset(),
        max_upload_bytes=max_upload * 1_000_000,
        max_pixels=max_pixels,
        keep_seconds=keep * 60,
        jobs=jobs,
        device=device,
    )
    app = create_app(settings)
    if not is_local and token is None:
        text = f"warning: everybody who reaches {host} can use this server; a --token prevents it"
        errors.print(text, style="yellow")
    address = f"http://{_in_url(host)}:{listener.getsockname()[1]}/"
    show(f"Open {printable(address)} in a browser; Ctrl-C stops the server.")
    sys.stdout.flush()
    config = uvicorn.Config(app, log_level="critical", access_log=False, server_header=False)
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = error.strerror or str(error)
        raise NircolorError(
            f"{host}:{port}: cannot listen there ({reason}); choose another --host or --port, 0 for any port "
            "that is free"
        ) from error


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _in_url(host: str) -> str:
    """Return a host for an address that a browser on this computer can open."""
    if host in ("0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
