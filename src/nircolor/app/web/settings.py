"""Settings of the server, and the models that it offers."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nircolor.app.fitting import shipped_cards
from nircolor.errors import NircolorError
from nircolor.inference import Colorizer, Device
from nircolor.modelfile import Card, read_card
from nircolor.weights import find_model

AUTO = "auto"


@dataclass(frozen=True)
class Settings:
    """Settings of the server.

    Attributes:
        models: Model files to offer in addition to the shipped models.
        token: Secret that requests must have; None if everybody may use the server.
        hosts: Names in the ``Host`` header that are accepted; empty to accept all. Limiting them prevents
            other web sites from reaching a server on this computer through a name of their own.
        max_upload_bytes: Largest size of a request.
        max_pixels: Largest number of pixels of an image.
        keep_seconds: Time after which images and results are deleted.
        max_images: Largest number of images held at the same time.
        jobs: Number of images colorized at the same time.
        device: As for `Colorizer`.
    """

    models: Sequence[Path] = ()
    token: str | None = field(default=None, repr=False)
    hosts: frozenset[str] = frozenset()
    max_upload_bytes: int = 200_000_000
    max_pixels: int = 100_000_000
    keep_seconds: float = 3600
    max_images: int = 1000
    jobs: int = 1
    device: Device = "auto"


class Models:
    """The models that the server offers, each loaded when it is first used.

    Args:
        settings: Model files, device and number of jobs.

    Attributes:
        cards: Cards by name, the default model first.

    Raises:
        NircolorError: A model file cannot be read, or two models have one name.
    """

    def __init__(self, settings: Settings) -> None:
        self.cards: dict[str, Card] = {card.name: card for card in shipped_cards()}
        self._files = {name: find_model(name) for name in self.cards}
        for path in settings.models:
            card = read_card(path)
            if card.name in (AUTO, *self.cards):
                raise NircolorError(
                    f"{path}: expected a model with a name of its own, got another {card.name}; "
                    "the name is in its card"
                )
            self.cards[card.name], self._files[card.name] = card, path
        self._settings = settings
        self._loaded: dict[str, Colorizer] = {}
        self._lock = threading.Lock()

    def check(self, name: str) -> None:
        """Raise `NircolorError` unless a model of this name is offered, or it is `AUTO`."""
        if name not in (AUTO, *self.cards):
            raise NircolorError(f"model: expected {', '.join((AUTO, *self.cards))}, got {name!r}")

    def load(self, name: str) -> Colorizer:
        """Return the colorizer of an offered model."""
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = Colorizer(
                    self._files[name], device=self._settings.device, jobs=self._settings.jobs
                )
            return self._loaded[name]
