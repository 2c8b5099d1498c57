"""Tests of the command `nircolor serve`; those of the server are in `tests/app/web`."""

import json
import os
import re
import signal
import socket
import sys
import urllib.request
from contextlib import contextmanager

import pytest

from nircolor import extras
from tests.app.command_line import process


def test_a_missing_extra_is_named(nircolor, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda _name: None)
    message = nircolor.refused("serve", "--port", "0")
    assert message.startswith("nircolor serve needs more than the base install: ")
    assert "[web]" in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--port", "70000"), "--port: expected a whole number from 0 to 65535, got '70000'"),
        (("--keep", "0"), "--keep: expected a whole number of 1 or more, got '0'"),
        (("--max-upload", "x"), "--max-upload: expected a whole number of 1 or more, got 'x'"),
        (("--host", "no.such.host.invalid"), "no.such.host.invalid:8000: cannot listen there ("),
    ],
)
def test_wrong_options(nircolor, words, message):
    if "--host" in words:
        pytest.importorskip("fastapi", reason="needs nircolor[web]")
    assert nircolor.refused("serve", *words).startswith(message)


def test_a_port_in_use(nircolor):
    pytest.importorskip("fastapi", reason="needs nircolor[web]")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        message = nircolor.refused("serve", "--port", port)
    assert message.startswith(f"127.0.0.1:{port}: cannot listen there (Address already in use")
    assert "choose another --host or --port" in message


@contextmanager
def serving(folder, *words):
    """Start a server in a process of its own; yield it and its address."""
    running = process("serve", "--port", 0, *words, env=os.environ | {"TMPDIR": str(folder)})
    try:
        yield running, re.search(r"http://\S+/", running.stdout.readline())[0]
    finally:
        running.kill()
        running.communicate()


def get(address):
    with urllib.request.urlopen(address, timeout=20) as answer:
        return answer.read()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_a_server_stops_at_a_signal_and_a_killed_one_is_cleaned_up_after(tmp_path):
    pytest.importorskip("fastapi", reason="needs nircolor[web]")
    with serving(tmp_path) as (running, address):
        assert json.loads(get(address + "health"))["status"] == "ok"
        assert len(list(tmp_path.iterdir())) == 1
        running.send_signal(signal.SIGKILL)
        running.wait(10)
    assert len(list(tmp_path.iterdir())) == 1
    with serving(tmp_path, "--host", "0.0.0.0") as (running, address):
        assert b"nircolor" in get(address)
        # its own
        assert len(list(tmp_path.iterdir())) == 1
        running.send_signal(signal.SIGTERM)
        messages = running.communicate(timeout=10)[1].splitlines()
    assert running.returncode == 130
    assert messages[0] == "warning: everybody who reaches 0.0.0.0 can use this server; a --token prevents it"
    assert messages[-1] == "interrupted; all images are deleted"
    assert not list(tmp_path.iterdir())
