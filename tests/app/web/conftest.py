"""A server with its API, in this process."""

import tempfile
import threading
import time
from contextlib import contextmanager
from functools import cache

import pytest

from nircolor.app.web import Settings, create_app
from nircolor.inference import Colorizer, colorize
from tests.imagery.imagery_samples import noise, save


@pytest.fixture(autouse=True, scope="module")
def _own_temporary_folder(tmp_path_factory):
    """Images of these tests do not lie beside those of other servers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("server")))
        yield


@pytest.fixture(scope="module")
def server():
    """Return a context manager that makes a client of a server with the given settings."""
    from fastapi.testclient import TestClient

    @contextmanager
    def make(**settings):
        app = create_app(Settings(**settings))
        with TestClient(app, "http://127.0.0.1:8000") as client:
            yield client

    return make


@pytest.fixture(scope="module")
def client(server):
    """A client of a server with default settings, for all tests of a module."""
    with server() as client:
        yield client


@pytest.fixture
def photograph(tmp_path):
    """A 16-bit TIFF in one near-infrared band."""
    (tmp_path / "in").mkdir()
    return save(tmp_path / "in" / "night.tif", noise(1, 40, 56, "uint16"))


def upload(client, *paths, **options):
    """Upload the files of an image; return the answer."""
    return client.post("/api/images", files=as_files(paths), **options)


def as_files(paths):
    return [("file", (path.name, path.read_bytes())) for path in paths]


def finished(client, key, seconds=30.0):
    """Wait until an image is not worked on any more; return its state."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state = client.get(f"/api/images/{key}").json()
        if state["state"] not in ("queued", "running"):
            return state
        time.sleep(0.02)
    raise AssertionError(state)


@cache
def scene():
    return Colorizer("scene")


def by_command_line(path, folder, **options):
    """Colorize a file as the command line does; return the content of the result."""
    return files_by_command_line(path, folder, **options)[0]


def files_by_command_line(path, folder, **options):
    """As `by_command_line`, with the confidence where it is asked for."""
    (result,) = colorize(path, f"{folder}/", **{"model": scene()} | options)
    return [output.read_bytes() for output in result.job.outputs]


class Gate:
    """A colorizer that waits, calling back as the real one does, until it is opened."""

    def __init__(self, colorizer):
        self._colorizer = colorizer
        self.opened, self.entered = threading.Event(), threading.Event()

    def colorize_file(self, path, output, *, on_progress, **options):
        self.entered.set()
        while not self.opened.is_set():
            on_progress(1, 4)
            time.sleep(0.01)
        return self._colorizer.colorize_file(path, output, on_progress=on_progress, **options)


@pytest.fixture
def gate(monkeypatch):
    """Stop all work of servers at a `Gate`."""
    from nircolor.app.web import settings

    gate = Gate(scene())
    monkeypatch.setattr(settings.Models, "load", lambda _self, _name: gate)
    return gate
