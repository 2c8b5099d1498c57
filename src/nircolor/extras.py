"""Report missing optional dependencies with the command that installs them."""

import json
import shlex
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nircolor.errors import NircolorError


def require(package: str, *, extra: str, what: str) -> None:
    """Check that an optional dependency is installed.

    Args:
        package: Name of the package to import.
        extra: Extra of nircolor that installs it.
        what: What needs it, as the start of the message: a command (``nircolor train``) or a file.

    Raises:
        NircolorError: The package is missing; the message has the command that installs it.
    """
    if find_spec(package) is None:
        raise missing(what, extra)


def missing(what: str, extra: str) -> NircolorError:
    """Make the error that names the extra which ``what`` needs."""
    return NircolorError(f"{what} needs more than the base install: {install_command(extra)}")


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this installation of nircolor.

    It names where nircolor came from: a folder, a file, a repository or the package index; and the tool that
    installed it: pip, pipx or uv.
    """
    try:
        stored = distribution("nircolor").read_text("direct_url.json")
        source = json.loads(stored) if stored else None
    except (PackageNotFoundError, ValueError):
        # imported from a folder that is not installed
        root = Path(__file__).parents[2]
        source = {"url": root.as_uri(), "dir_info": {}} if (root / "pyproject.toml").exists() else None
    return f"{_tool(Path(sys.prefix))} {_requirement(source, extra)}"


def _tool(prefix: Path) -> str:
    """The command that installs packages into an environment."""
    if (prefix / "pipx_metadata.json").exists():
        return "pipx install --force"
    if (prefix / "uv-receipt.toml").exists():
        return "uv tool install --force"
    settings = prefix / "pyvenv.cfg"
    made_by_uv = settings.exists() and "\nuv = " in f"\n{settings.read_text(encoding='utf-8')}"
    return "uv pip install" if made_by_uv and find_spec("pip") is None else "pip install"


def _requirement(source: dict[str, Any] | None, extra: str) -> str:
    """The requirement of nircolor with an extra, quoted for a shell.

    Args:
        source: Content of ``direct_url.json`` (PEP 610), None for an installation from the package index.
        extra: The extra.
    """
    wanted = f"nircolor[{extra}]"
    if source is None:
        return shlex.quote(wanted)
    url = str(source.get("url", ""))
    if url.startswith("file:") and "vcs_info" not in source:
        # slow to import, and not needed until an extra is missing
        from urllib.parse import urlparse
        from urllib.request import url2pathname

        option = "-e " if source.get("dir_info", {}).get("editable") else ""
        return f"{option}{shlex.quote(f'{url2pathname(urlparse(url).path)}[{extra}]')}"
    if "vcs_info" in source:
        vcs = source["vcs_info"]
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    return shlex.quote(f"{wanted} @ {url}")
