"""Array type aliases."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# images: (bands, height, width) in [0, 1] unless a docstring says otherwise
Floats = NDArray[np.float32]
# (height, width), True for valid pixels
Mask = NDArray[np.bool_]
# arrays of any type, such as the values of a file
Array = NDArray[Any]
