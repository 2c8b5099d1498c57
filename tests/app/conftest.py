import signal

import pytest

from tests.app.command_line import CommandLine


@pytest.fixture
def nircolor(capsys, monkeypatch):
    """The command line, see `CommandLine`."""
    before = signal.getsignal(signal.SIGTERM)
    yield CommandLine(capsys, monkeypatch)
    signal.signal(signal.SIGTERM, before)
