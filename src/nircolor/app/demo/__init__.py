"""`nircolor demo`: colorize a simulated NIR image and write a page that compares it with its true colours.

``nir.jpg`` and ``truth.jpg`` show a landscape that an earlier version of this package rendered from
reflectance spectra (module ``nircolor.app.demo.landscape`` at commit d114245, ``render_landscape()``). Both
images were computed from the same spectra, sun and sky: one with the response of a silicon sensor behind a
750 nm long-pass filter, the other with the CIE 1931 observer.
"""

from pathlib import Path
from typing import Final

from nircolor.app.demo.page import BeforeAfter, write_page
from nircolor.arrays import Floats
from nircolor.errors import NircolorError
from nircolor.imagery import open_raster
from nircolor.inference import Colorizer
from nircolor.modelfile import Card

NIR_IMAGE: Final = Path(__file__).with_name("nir.jpg")
TRUE_COLOUR_IMAGE: Final = Path(__file__).with_name("truth.jpg")

_RGB_NM: Final = (650.0, 550.0, 450.0)
ORIGIN: Final = (
    "Simulated, not a photograph: hills, a lake, trees, grass, soil, rock and houses, rendered from their "
    "reflectance between 400 and 1000 nm under a modelled sun and sky. The near-infrared image is what a "
    "silicon sensor behind a 750 nm long-pass filter would record, the true colour is what an eye would see. "
    "The demo shows how the tool works, not how good it is on real images."
)


def read_images() -> tuple[Floats, Floats]:
    """Read the demo image and its true colours: (1, 768, 1152) and (3, 768, 1152) in [0, 1], sRGB-encoded.

    Example:
        >>> [image.shape for image in read_images()]
        [(1, 768, 1152), (3, 768, 1152)]
    """
    with open_raster(NIR_IMAGE) as nir, open_raster(TRUE_COLOUR_IMAGE, bands_nm=_RGB_NM) as rgb:
        return nir.read()[0], rgb.read()[0]


def run(folder: Path, model: str) -> Path:
    """Colorize the demo image and write ``FOLDER/index.html``.

    Args:
        folder: Output folder, created if needed.
        model: Name or path of a model for one NIR band.

    Returns:
        The page.

    Raises:
        NircolorError: The model does not take one band, or the page cannot be written.
    """
    colorizer = Colorizer(model)
    card = colorizer.card
    if len(card.bands) != 1:
        raise NircolorError(
            f"model {card.name}: expected a model for one band, got one for {len(card.bands)}; "
            "of the shipped ones, scene and satellite-1band fit"
        )
    page = folder / "index.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        nir, truth = read_images()
        comparison = BeforeAfter("Landscape", nir, colorizer.colorize(nir), truth, ORIGIN)
        write_page(page, "nircolor demo", [comparison], notes=_notes(card))
    except FileExistsError as error:
        raise NircolorError(f"{page}: cannot be written ({folder} is not a folder)") from error
    except OSError as error:
        raise NircolorError(f"{page}: cannot be written ({error.strerror or error})") from error
    return page


def _notes(card: Card) -> list[str]:
    notes = [f"Model {card.name}: {card.summary}. Weights: {card.licence.weights}."]
    notes += [
        f"On {score.data}: PSNR {score.psnr_db:.2f} dB, SSIM {score.ssim:.3f}, "
        f"angular error {score.angular_error_deg:.2f}°."
        for score in card.scores
    ]
    return notes
