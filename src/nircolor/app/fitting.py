"""Which models fit an image, by its bands and values."""

from typing import TYPE_CHECKING, Final, NamedTuple

from nircolor.errors import NircolorError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nircolor.imagery import Raster
    from nircolor.modelfile import Card

DEFAULT_MODEL: Final = "scene"


class Fit(NamedTuple):
    """Whether a model fits an image.

    Attributes:
        card: The card of the model.
        reason: Why it does not fit, or None.
        options: Options of the command line that it needs for the image, such as `` --scale 10000``, each
            after a blank; mostly empty.
        note: What the user should know before, or None.
    """

    card: "Card"
    reason: str | None
    options: str = ""
    note: str | None = None


def shipped_cards() -> list["Card"]:
    """Read the cards of the shipped models, the default first."""
    from nircolor.modelfile import read_card
    from nircolor.weights import shipped_models

    paths = shipped_models()
    return [read_card(paths[name]) for name in sorted(paths, key=lambda name: (name != DEFAULT_MODEL, name))]


def fits_of(raster: "Raster", cards: "Iterable[Card]") -> list[Fit]:
    """Try models on an image, and return them with the recommended one first.

    Of those that fit, the first one comes first, except for an image from above, whose reflectance suits a
    satellite model: then that of the most bands does. No model of photographs fits a satellite product.

    Args:
        raster: The image.
        cards: Cards of the models.
    """
    fits = [_fit(raster, card) for card in cards]
    product = raster.values.product
    from_above = product is not None or (raster.is_georeferenced and any(raster.wavelengths_nm))

    def rank(fit: Fit) -> tuple[bool, bool, int]:
        suits = from_above and fit.card.encoding == "reflectance"
        return fit.reason is not None, not suits, -len(fit.card.bands) if suits else 0

    return sorted(fits, key=rank)


def _fit(raster: "Raster", card: "Card") -> Fit:
    from nircolor.imagery.values.products import LANDSAT_SURFACE, SENTINEL2
    from nircolor.inference import RasterSource

    values = raster.values
    options, note = "", values.warning(card.encoding)
    try:
        RasterSource(raster, card)
    except NircolorError as error:
        reason = str(error).removeprefix(f"{raster.path}: ")
        if not values.lacks_scale or str(error) != values.error(card.encoding, f"model {card.name}"):
            return Fit(card, reason)
        options, note = f" {(values.product or SENTINEL2).options}", None
        if values.product is None:
            note = (
                f"{raster.path}: the scale of the values is not stated; {SENTINEL2.options} is for "
                f"reflectance × 10000 (as Sentinel-2), {LANDSAT_SURFACE.name} needs {LANDSAT_SURFACE.options}"
            )
        elif values.product.note:
            note = (
                f"{raster.path}: the scale of the values is not stated; {values.product.options} is for "
                f"{values.product.name} ({values.product.note})"
            )
    else:
        if values.product is not None and card.encoding == "gamma":
            return Fit(card, "is for photographs, and its colours of land from above are wrong")
    return Fit(card, None, options, note)
