"""Tests of the command that installs a missing extra, as pip, pipx and uv record an installation."""

import json
import shlex
from pathlib import Path

import pytest

from nircolor import extras
from nircolor.errors import NircolorError


class Installed:
    """A distribution with the given direct_url.json."""

    def __init__(self, source):
        self._source = source

    def read_text(self, name):
        assert name == "direct_url.json"
        return self._source if self._source is None else json.dumps(self._source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, "'nircolor[train]'"),
        ({"url": "file:///home/me/nircolor", "dir_info": {}}, "'/home/me/nircolor[train]'"),
        (
            {"url": "file:///home/me/nir%20color", "dir_info": {"editable": True}},
            "-e '/home/me/nir color[train]'",
        ),
        ({"url": "file:///tmp/nircolor-1.whl", "archive_info": {}}, "'/tmp/nircolor-1.whl[train]'"),
        (
            {"url": "https://example.org/n.whl", "archive_info": {}},
            "'nircolor[train] @ https://example.org/n.whl'",
        ),
        (
            {"url": "https://example.org/n", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "'nircolor[train] @ git+https://example.org/n@abc'",
        ),
    ],
)
@pytest.mark.parametrize(
    ("file", "content", "tool"),
    [
        (None, "", "pip install"),
        ("pipx_metadata.json", "{}", "pipx install --force"),
        ("uv-receipt.toml", "", "uv tool install --force"),
        ("pyvenv.cfg", "home = /usr\nuv = 0.9\n", "uv pip install"),
    ],
)
def test_the_command_fits_the_installation(monkeypatch, tmp_path, source, expected, file, content, tool):
    monkeypatch.setattr(extras, "distribution", lambda _name: Installed(source))
    monkeypatch.setattr(extras, "find_spec", lambda _package: None)
    monkeypatch.setattr(extras.sys, "prefix", str(tmp_path))
    if file is not None:
        (tmp_path / file).write_text(content)
    assert extras.install_command("train") == f"{tool} {expected}"
    with pytest.raises(NircolorError) as caught:
        extras.require("torch", extra="train", what="nircolor train")
    assert str(caught.value) == f"nircolor train needs more than the base install: {tool} {expected}"


def test_a_folder_that_is_not_installed(monkeypatch, tmp_path):
    def absent(_name):
        raise extras.PackageNotFoundError

    monkeypatch.setattr(extras, "distribution", absent)
    monkeypatch.setattr(extras.sys, "prefix", str(tmp_path))
    words = shlex.split(extras.install_command("evaluate"))
    root = Path(extras.__file__).parents[2]
    assert words == ["pip", "install", f"{root}[evaluate]"]
    assert (root / "pyproject.toml").exists()
