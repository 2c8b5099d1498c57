"""Files in folders and in object storage, by fsspec, and the manifest of a run."""

import json
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from nircolor.errors import NircolorError, first_line

# the manifest is written after this many files or seconds
_RECORDS, _SECONDS = 1000, 5.0
MANIFEST = "nircolor-manifest"


def is_address(text: str) -> bool:
    """Whether a text is an address of object storage, such as ``s3://bucket/folder``."""
    return "://" in text


class Storage:
    """A file system, local or remote, with errors as `NircolorError`."""

    def __init__(self, root: str) -> None:
        import fsspec

        self._root = root
        try:
            self.fs, self.path = fsspec.core.url_to_fs(root)
        except (ImportError, ValueError) as error:
            raise NircolorError(f"{root}: cannot be opened ({error})") from error

    def call(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the file system."""
        try:
            return getattr(self.fs, name)(*arguments, **options)
        except FileNotFoundError as error:
            raise NircolorError(f"{self._root}: no such file, folder or bucket") from error
        except PermissionError as error:
            raise NircolorError(
                f"{self._root}: access denied ({first_line(error)}); check the credentials and the "
                "rights of this account"
            ) from error
        # fsspec's file systems raise errors of their own libraries
        except Exception as error:
            raise NircolorError(f"{self._root}: cannot be reached ({first_line(error)})") from error

    def address(self, path: str) -> str:
        """Return the full address of a path that the file system lists."""
        return str(self.fs.unstrip_protocol(path)) if is_address(self._root) else path


class Manifest:
    """Record of the finished files, in parts ``OUTPUT/nircolor-manifest/….jsonl``, to continue from."""

    def __init__(self, output: str) -> None:
        self._storage = Storage(output)
        self._folder = f"{self._storage.path.rstrip('/')}/{MANIFEST}"
        self._run, self._part, self._lines = uuid.uuid4().hex[:8], 0, [""]
        self._written = time.monotonic()
        # fails before any work where the output may not be written to
        self.flush()

    def finished(self) -> set[tuple[str, int]]:
        """Return input and length of the files that earlier runs finished."""
        found = set()
        for path in self._storage.call("find", self._folder):
            for line in self._storage.call("cat_file", path).decode().splitlines():
                with suppress(ValueError, KeyError):
                    record = json.loads(line)
                    if record["status"] == "done":
                        found.add((record["input"], record["bytes"]))
        return found

    def add(self, record: Mapping[str, Any]) -> None:
        """Record what became of a file."""
        self._lines.append(json.dumps(record))
        if len(self._lines) >= _RECORDS or time.monotonic() - self._written > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was recorded."""
        if self._lines:
            path = f"{self._folder}/{self._run}-{self._part:06}.jsonl"
            self._storage.call("makedirs", self._folder, exist_ok=True)
            self._storage.call("pipe_file", path, "\n".join([*self._lines, ""]).encode())
            self._part, self._lines, self._written = self._part + 1, [], time.monotonic()
