"""Make paired data from hyperspectral captures: NIR bands as the input, colour as the target.

`synthesize` does the whole job::

    from nircolor.spectral import synthesize

    synthesize("captures/", "data/captures", bands_nm=(780, 850, 940))

The other names are its parts: `find_captures` lists the captures in a folder, `read_response` reads the
response curves of a camera.
"""

from nircolor.spectral.capture import Capture, find_captures
from nircolor.spectral.dataset import SynthesizedPair, synthesize
from nircolor.spectral.response import CameraResponse, read_response

__all__ = [
    "CameraResponse",
    "Capture",
    "SynthesizedPair",
    "find_captures",
    "read_response",
    "synthesize",
]
