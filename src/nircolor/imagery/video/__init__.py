"""Video files to near-infrared frames, and colour frames to video files (PyAV, extra ``video``)."""

from nircolor.imagery.video.names import (
    VIDEO_EXTENSIONS,
    VIDEO_OUTPUTS,
    is_video,
    is_video_name,
    video_output_name,
)

__all__ = ["VIDEO_EXTENSIONS", "VIDEO_OUTPUTS", "is_video", "is_video_name", "video_output_name"]
