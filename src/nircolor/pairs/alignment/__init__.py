"""Register images of two cameras, or of two exposures, into pairs for training and evaluation."""

from nircolor.pairs.alignment.files import AlignedPair, align
from nircolor.pairs.alignment.register import Gray, Registration, register
from nircolor.pairs.alignment.warp import Frame, Lens, Warp

__all__ = ["AlignedPair", "Frame", "Gray", "Lens", "Registration", "Warp", "align", "register"]
