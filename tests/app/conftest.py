import signal

import pytest

from nircolor.app import stopping
from tests.app.command_line import CommandLine, gray_png
from tests.imagery.imagery_samples import noise, save


@pytest.fixture
def nircolor(capsys, monkeypatch):
    """The command line, see `CommandLine`."""
    before = signal.getsignal(signal.SIGTERM)
    yield CommandLine(capsys, monkeypatch)
    stopping.uninstall()
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def folder(tmp_path):
    """Two images, 8-bit PNG and 16-bit TIFF."""
    gray_png(tmp_path / "in" / "a.png", seed=1)
    save(tmp_path / "in" / "b.tif", noise(1, 30, 20, "uint16"))
    return tmp_path / "in"
