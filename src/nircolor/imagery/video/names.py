"""Names of video files; PyAV is not imported."""

import os
from pathlib import Path

from nircolor.imagery.files.signatures import EXTENSIONS
from nircolor.imagery.files.unread import START_BYTES, VIDEO, kind_of_content

# formats that are written; others become .mp4 in an output folder
VIDEO_OUTPUTS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
VIDEO_EXTENSIONS = VIDEO.extensions


def is_video_name(path: str | os.PathLike[str]) -> bool:
    """Return whether a file name has the extension of a video; hidden files are no videos.

    Example:
        >>> is_video_name("clip.MP4"), is_video_name("clip.png"), is_video_name(".clip.mp4")
        (True, False, False)
    """
    path = Path(path)
    return path.suffix.lower() in VIDEO_EXTENSIONS and not path.name.startswith(".")


def is_video(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a video: by its extension, or by its first bytes where that tells nothing."""
    path = Path(path)
    if is_video_name(path):
        return True
    if path.suffix.lower() in EXTENSIONS or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return kind_of_content(file.read(START_BYTES)) is VIDEO
    except OSError:
        return False


def video_output_name(path: Path) -> str:
    """Return the name of the output in a folder: that of the input, as .mp4 where its format is not written.

    Example:
        >>> video_output_name(Path("a/clip.wmv")), video_output_name(Path("a/clip.MOV"))
        ('clip.mp4', 'clip.MOV')
    """
    return path.name if path.suffix.lower() in VIDEO_OUTPUTS else f"{path.stem}.mp4"
