import signal

import pytest

from nircolor.app import stopping
from tests.app.command_line import CommandLine


@pytest.fixture
def nircolor(capsys, monkeypatch):
    """The command line, see `CommandLine`."""
    before = signal.getsignal(signal.SIGTERM)
    yield CommandLine(capsys, monkeypatch)
    stopping.uninstall()
    signal.signal(signal.SIGTERM, before)
