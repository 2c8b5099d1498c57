"""The kinds of arrays that rooms hand to each other."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# images: (bands, height, width) in [0, 1] unless a docstring says otherwise
Floats = NDArray[np.float32]
# (height, width), True where a pixel is valid
Mask = NDArray[np.bool_]
# values as a file stores them
Array = NDArray[Any]
