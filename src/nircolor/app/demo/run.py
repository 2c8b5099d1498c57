"""`nircolor demo`: render, colour, show."""

from pathlib import Path

from rich.console import Console

from nircolor.app.demo.landscape import ORIGIN, render_landscape
from nircolor.app.demo.page import Comparison, write_page
from nircolor.errors import NircolorError
from nircolor.inference import Colorizer
from nircolor.modelfile import Card


def run(folder: Path, model: str) -> None:
    """Colour the simulated landscape and write ``folder/index.html``.

    Raises:
        NircolorError: the model does not take one band, or the folder cannot be written.
    """
    colorizer = Colorizer(model)
    card = colorizer.card
    if len(card.bands) != 1:
        raise NircolorError(
            f"model {card.name}: the demo has one band to offer, the model takes {len(card.bands)}"
        )
    landscape = render_landscape()
    colour = colorizer.colorize(landscape.nir)
    page = folder / "index.html"
    comparison = Comparison("Landscape", landscape.nir, colour, landscape.rgb, ORIGIN)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_page(page, "nircolor demo", [comparison], notes=_notes(card))
    except OSError as error:
        raise NircolorError(f"{page}: cannot be written ({error.strerror or error})") from error
    Console(highlight=False).print(f"Open {page.resolve()} in a browser.", soft_wrap=True, markup=False)


def _notes(card: Card) -> list[str]:
    notes = [f"Model {card.name}: {card.summary}. Weights: {card.licence.weights}."]
    notes += [
        f"On {score.data}: PSNR {score.psnr_db:.2f} dB, SSIM {score.ssim:.3f}, "
        f"angular error {score.angular_error_deg:.2f}°."
        for score in card.scores
    ]
    return notes
