"""A ZIP of several results, made while it is sent."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def archive(files: Sequence[tuple[str, Path]]) -> Iterator[bytes]:
    """Yield a ZIP in pieces, without holding it in memory or on disk.

    Images are not compressed again.

    Args:
        files: Name in the archive and path of each file; equal names are numbered.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a")
        ...     _ = path.write_bytes(b"one")
        ...     content = b"".join(archive([("a.png", path), ("a.png", path)]))
        >>> zipfile.ZipFile(io.BytesIO(content)).namelist()
        ['a.png', 'a (2).png']
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as target:
        taken: set[str] = set()
        for name, path in files:
            entry = zipfile.ZipInfo.from_file(path, _distinct(name, taken))
            with path.open("rb") as source, target.open(entry, "w", force_zip64=True) as part:
                while chunk := source.read(_CHUNK_BYTES):
                    part.write(chunk)
                    yield sink.take()
    yield sink.take()


def _distinct(name: str, taken: set[str]) -> str:
    number, path = 1, Path(name)
    while name.casefold() in taken:
        number += 1
        name = f"{path.stem} ({number}){path.suffix}"
    taken.add(name.casefold())
    return name


class _Sink(io.RawIOBase):
    """File that holds what was written since `take`, and cannot seek."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        content = b"".join(self._parts)
        self._parts.clear()
        return content
