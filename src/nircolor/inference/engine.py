"""ONNX Runtime behind one call: a tile and its context in, colour out."""

from pathlib import Path
from typing import Any

from nircolor.arrays import Floats
from nircolor.errors import NircolorError, first_line
from nircolor.inference.devices import Device, providers_for
from nircolor.modelfile import Card, open_session


class OnnxEngine:
    """A loaded model file.

    Args:
        path: of the model file.
        device: where to run it; "auto" takes the best provider that this onnxruntime has.
        threads: of one call on the CPU; 0 for one per core.

    Raises:
        NircolorError: not a model file, or the device is not there.
    """

    def __init__(self, path: Path, device: Device = "auto", threads: int = 0) -> None:
        self._path = path
        self._session: Any
        self.card: Card
        providers = providers_for(device)
        self._session, self.card = open_session(path, providers=providers, threads=threads)
        # onnxruntime goes on without a provider whose libraries do not load
        if device != "auto" and self._session.get_providers()[0] != providers[0]:
            raise NircolorError(
                f"--device {device}: onnxruntime knows it but cannot start it (driver, libraries)"
            )

    def run(self, nir: Floats, context: Floats | None) -> Floats:
        """Colour one tile: (bands, h, w) and (bands + 4, s, s) or None -> (3, h, w), not clipped.

        Raises:
            NircolorError: the network refuses the tile, or answers with another shape.
            MemoryError: the tile does not fit.
        """
        feeds = {"nir": nir[None]}
        if context is not None:
            feeds["context"] = context[None]
        try:
            rgb: Floats = self._session.run(None, feeds)[0][0]
        except MemoryError:
            raise
        # onnxruntime's own exceptions share no base class of their own but Exception
        except Exception as error:
            reason = first_line(error)
            if "alloc" in reason or "out of memory" in reason:
                raise MemoryError(reason) from error
            raise NircolorError(f"{self._path}: fails on a tile of {nir.shape} ({reason})") from error
        if rgb.shape != (3, *nir.shape[1:]):
            raise NircolorError(
                f"{self._path}: expected colour of {(3, *nir.shape[1:])} from the network, got {rgb.shape}"
            )
        return rgb
