"""Colour of spectra for the CIE observer and for cameras; CSV files of responses."""

import hashlib
import subprocess
import sys
from pathlib import Path

import colour
import numpy as np
import pytest

from nircolor.errors import NircolorError
from nircolor.imagery import encode_srgb
from nircolor.spectral.response import daylight, observer_weights, read_response
from nircolor.spectral.weights import GRID_NM

CUBE = Path("a.hdr")
WAVELENGTHS_NM = {
    "1.36 nm": np.linspace(397, 1004.5, 448),
    "2.7 nm": np.linspace(398, 1003, 224),
    "10 nm": np.arange(400.0, 1001, 10),
}
each_sampling = pytest.mark.parametrize("wavelengths_nm", WAVELENGTHS_NM.values(), ids=WAVELENGTHS_NM)

_OBSERVER = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
_D65 = colour.CCS_ILLUMINANTS["CIE 1931 2 Degree Standard Observer"]["D65"]
_CHART = "BabelColor Average"

RESPONSES = Path(__file__).parents[3] / "shared/data/responses"
needs_responses = pytest.mark.skipif(not RESPONSES.is_dir(), reason=f"no camera responses at {RESPONSES}")


def _lab(xyz):
    return colour.XYZ_to_Lab(xyz, _D65)


def _sampled(distribution, wavelengths_nm):
    """Interpolate a spectrum of the chart linearly."""
    return np.interp(wavelengths_nm, distribution.wavelengths, distribution.values)


def _linear_srgb(wavelengths_nm):
    """Compute linear sRGB of the chart's patches with the weights, (24, 3)."""
    patches = colour.SDS_COLOURCHECKERS[_CHART].values()
    return (
        np.stack([_sampled(patch, wavelengths_nm) for patch in patches])
        @ observer_weights(CUBE, wavelengths_nm).T
    )


def _to_xyz(linear):
    return linear @ np.linalg.inv(colour.RGB_COLOURSPACES["sRGB"].matrix_XYZ_to_RGB).T


def _camera(nm):
    """Return responses, (n, 4), of an invented camera with RGB channels that are sensitive to NIR."""
    humps = [np.exp(-(((nm - centre) / 40) ** 2)) for centre in (600, 540, 460)]
    leak = 0.8 * np.exp(-(((nm - 850) / 60) ** 2))
    return np.stack([*(hump + leak for hump in humps), np.exp(-(((nm - 850) / 50) ** 2))], axis=-1)


def _csv(path, nm, curves, *, titles=None, column=True, bom=False, end="\n"):
    rows = [
        ([f"{at:g}"] if column else []) + [f"{value:.6g}" for value in row]
        for at, row in zip(nm, curves, strict=True)
    ]
    text = end.join(([titles] if titles else []) + [",".join(row) for row in rows]) + end
    path.write_text(text, encoding="utf-8-sig" if bom else "utf-8", newline="")
    return path


_NM = np.arange(400.0, 1001, 10)


@pytest.fixture
def camera(tmp_path):
    return read_response(_csv(tmp_path / "camera.csv", _NM, _camera(_NM)))


# --- the observer


@each_sampling
def test_white_is_white(wavelengths_nm, camera):
    for weights in (observer_weights(CUBE, wavelengths_nm), camera.rgb_weights(CUBE, wavelengths_nm)):
        assert weights.shape == (3, len(wavelengths_nm))
        np.testing.assert_allclose(weights @ np.ones_like(wavelengths_nm), 1, atol=1e-12)


@each_sampling
def test_reflectance_beyond_700_nm_alone_is_black(wavelengths_nm, camera):
    infrared = np.where(wavelengths_nm > 700, 1.0, 0.0)
    assert infrared.any()
    for weights in (observer_weights(CUBE, wavelengths_nm), camera.rgb_weights(CUBE, wavelengths_nm)):
        assert (weights @ infrared).tolist() == [0, 0, 0]
    # although the camera responds to it
    assert camera.curves[:3, GRID_NM > 750].max() > 0.7


@pytest.mark.filterwarnings("ignore::colour.utilities.ColourRuntimeWarning")
@pytest.mark.parametrize(("sampling", "bound"), [("1.36 nm", 0.25), ("2.7 nm", 0.25), ("10 nm", 0.5)])
def test_colours_match_colour_science(sampling, bound):
    """A ΔE2000 of 1 is just visible. The chart is sampled at 10 nm; there the largest difference is 0.4."""
    linear = _linear_srgb(WAVELENGTHS_NM[sampling])
    patches = colour.SDS_COLOURCHECKERS[_CHART].values()
    xyz = [colour.sd_to_XYZ(patch, _OBSERVER, colour.SDS_ILLUMINANTS["D65"]) / 100 for patch in patches]
    assert colour.delta_E(_lab(_to_xyz(linear)), _lab(xyz), method="CIE 2000").max() < bound
    np.testing.assert_allclose(encode_srgb(linear), np.clip(colour.XYZ_to_sRGB(xyz), 0, 1), atol=3 / 255)


def test_colours_match_published_ones():
    """The published values are for D50, and chromatic adaptation to D65 is an approximation.

    The D65 colours that colour-science computes from the spectra differ by at most 1.39, by 0.57 on average;
    ours by 1.42 and 0.56.
    """
    chart = colour.CCS_COLOURCHECKERS[_CHART]
    d50, d65 = colour.xy_to_XYZ(chart.illuminant), colour.xy_to_XYZ(_D65)
    published = [
        colour.chromatic_adaptation(
            colour.xyY_to_XYZ(patch), d50, d65, method="Von Kries", transform="Bradford"
        )
        for patch in chart.data.values()
    ]
    differences = colour.delta_E(
        _lab(_to_xyz(_linear_srgb(WAVELENGTHS_NM["1.36 nm"]))), _lab(published), method="CIE 2000"
    )
    assert differences.max() < 1.5
    assert differences.mean() < 0.6


def test_daylight_is_d65():
    light = daylight()
    assert light.shape == GRID_NM.shape
    assert light[GRID_NM == 560] == pytest.approx(100)
    assert light[GRID_NM == 400] == pytest.approx(82.7549)
    assert (light[GRID_NM > 830] == 0).all()


@pytest.mark.parametrize(
    ("wavelengths_nm", "got"),
    [
        (
            np.linspace(900, 1700, 512),
            "bands from 400 to 700 nm for colour, got 512 bands from 900 to 1700 nm",
        ),
        (np.full(9, np.nan), "got no band with a wavelength"),
        (np.array([400.0, 500, 600, 700]), "got none between 400 and 500 nm"),
        (np.arange(500.0, 1000), "got 500 bands from 500 to 999 nm, 201 of them in this range"),
    ],
)
def test_captures_without_visible_bands_are_refused(wavelengths_nm, got):
    with pytest.raises(NircolorError, match=rf"^a\.hdr: expected .*{got}$"):
        observer_weights(CUBE, wavelengths_nm)


# --- a camera


@each_sampling
def test_camera_colour_is_the_response_under_daylight(wavelengths_nm, camera):
    spectrum = 0.5 + 0.4 * np.sin(GRID_NM / 50)
    visible = (GRID_NM >= 400) & (GRID_NM <= 700)
    curves = (_camera(GRID_NM)[:, :3].T * daylight())[:, visible]
    expected = curves @ spectrum[visible] / curves.sum(1)
    got = camera.rgb_weights(CUBE, wavelengths_nm) @ np.interp(wavelengths_nm, GRID_NM, spectrum)
    np.testing.assert_allclose(got, expected, atol=6e-3)
    # red, green and blue differ, so their order is tested
    assert np.abs(np.diff(expected)).min() > 0.05


@each_sampling
def test_the_nir_channel_is_the_response_under_equal_energy(wavelengths_nm, camera):
    assert camera.has_nir
    weights = camera.nir_weights(CUBE, wavelengths_nm)
    assert weights.sum() == pytest.approx(1)
    assert weights @ wavelengths_nm == pytest.approx(850, abs=0.2)


def test_the_nir_band_of_a_gaussian_has_its_centre_and_width(camera, tmp_path):
    # exp(-(x / 50)²) has an area of 50 √π
    assert camera.nir_band() == pytest.approx((850, 88.6), abs=0.15)
    fine = np.arange(700.0, 901)
    curve = np.exp(-4 * np.log(2) * ((fine - 783.4) / 30) ** 2)
    others = [np.ones_like(fine)] * 3
    path = _csv(tmp_path / "b.csv", np.r_[400, fine], np.r_[[[1, 1, 1, 0]], np.stack([*others, curve], 1)])
    assert read_response(path).nir_band().center_nm == pytest.approx(783.4, abs=0.05)


def test_missing_bands_are_reported_with_camera_and_channel(camera):
    with pytest.raises(
        NircolorError,
        match=r"^a\.hdr: expected bands .* for the blue of camera\.csv, got 40[01] bands from 500",
    ):
        camera.rgb_weights(CUBE, np.arange(500.0, 901))
    with pytest.raises(
        NircolorError, match=r"for the near-infrared of camera\.csv, got 301 bands from 400 to 700"
    ):
        camera.nir_weights(CUBE, np.arange(400.0, 701))


# --- files of responses


@pytest.mark.parametrize("columns", [3, 4])
@pytest.mark.parametrize(
    "form",
    [
        {},
        {"titles": "wavelength,R,G,B"},
        {"titles": ',"red, say",G,B,NIR'},
        {"bom": True},
        {"bom": True, "titles": "nm,r,g,b,n"},
        {"end": "\r\n"},
        {"end": "\n\n"},
        {"column": False},
        {"column": False, "titles": "R,G,B"},
        {"column": False, "bom": True},
    ],
)
def test_csv_formats(tmp_path, form, columns):
    curves = _camera(_NM)[:, :columns]
    path = _csv(tmp_path / "c.csv", _NM, curves, **form)
    response = read_response(path, None if form.get("column", True) else (400, 1000, 10))
    assert response.curves.shape == (columns, len(GRID_NM))
    assert response.has_nir == (columns == 4)
    at = np.searchsorted(GRID_NM, _NM)
    np.testing.assert_allclose(response.curves[:, at], curves.T, rtol=1e-5)
    # linear between the rows, zero outside
    np.testing.assert_allclose(response.curves[:, at[:-1] + 5], (curves[1:] + curves[:-1]).T / 2, rtol=1e-5)
    assert not response.curves[:, (GRID_NM < 400) | (GRID_NM > 1000)].any()


def test_uneven_wavelengths_and_the_hash_of_the_file(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("400,0,1,2\n500.5,1,1,2\n700,3,1,0\n")
    response = read_response(path)
    assert np.interp(500.5, GRID_NM, response.curves[0]) == pytest.approx(1, abs=0.01)
    assert response.curves[0, GRID_NM == 700] == 3
    assert response.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert response.path == path


@pytest.mark.parametrize(
    "text",
    [
        "400;1;2;3\n500.5;0,5;1;2\n700;3;1;0\n",
        "nm;R;G;B\n400;1,0;2,0;3,0\n500,5;0,5;1,0;2,0\n700;3;1;0\n",
        "400\t1\t2\t3\n500.5\t0.5\t1\t2\n700\t3\t1\t0\n",
        "# my camera\n400,1,2,3,\n500.5,0.5,1,2,\n,,,\n700,3,1,0,\n",
        "700,3,1,0\n500.5,0.5,1,2\n400,1,2,3\n",
    ],
    ids=["semicolons", "decimal commas", "tabs", "comments and empty cells", "falling wavelengths"],
)
def test_csv_files_of_spreadsheets(tmp_path, text):
    for name, written in (("a.csv", text), ("b.csv", "400,1,2,3\n500.5,0.5,1,2\n700,3,1,0\n")):
        (tmp_path / name).write_text(written)
    as_written, plain = (read_response(tmp_path / name) for name in ("a.csv", "b.csv"))
    np.testing.assert_array_equal(as_written.curves, plain.curves)


_ROWS = "400,1,2,3\n500,1,2,3\n600,1,2,3\n"


@pytest.mark.parametrize(
    ("text", "grid_nm", "match"),
    [
        ("", None, "got no numbers$"),
        ("nm,r,g,b\n", None, "got no numbers$"),
        (_ROWS.replace("400,1", "400,nan"), None, "got 'nan' in the row '400,nan,2,3'$"),
        (_ROWS.replace("500,1", "500,one"), None, "got 'one' in the row '500,one,2,3'$"),
        (_ROWS.replace("500,1", "500,"), None, "expected a CSV of response curves"),
        ("400nm,1,2,3\n500nm,1,2,3\n", None, "got '400nm' in the row '400nm,1,2,3'$"),
        (_ROWS + "700,1,2\n", None, "expected a CSV of response curves: got rows of 4 and of 3 columns$"),
        (_ROWS.replace(",3\n", "\n"), None, r"expected 3 or 4 columns .* got 2$"),
        (_ROWS.replace("\n", ",4,5\n"), None, r"expected 3 or 4 columns .* got 5$"),
        ("400\n500\n", None, r"expected 3 or 4 columns .* got 0$"),
        ("1,2,3\n2,3,4\n", None, r"wavelengths in nm in the first column; .*--response-nm 420:1000:10$"),
        ("0.4,1,2,3\n0.7,1,2,3\n", None, "expected wavelengths in nm in the first column"),
        ("400,1,2,3\n700,1,2,3\n500,1,2,3\n", None, "expected wavelengths in nm in the first column"),
        ("400,1,2,3\n400,1,2,3\n", None, "expected wavelengths in nm in the first column"),
        ("500,1,2,3\n", None, "expected wavelengths in nm in the first column"),
        ("1,2,3\n1,2,3\n", (400, 700, 100), "expected 4 rows from 400 to 700 nm in steps of 100, got 2$"),
        ("1,2,3\n" * 3, (500, 400, 100), r"expected first wavelength, .* got \(500, 400, 100\)$"),
        ("1,2,3\n" * 3, (400, 500, 100), "expected 2 rows .* got 3$"),
        ("1,2\n" * 2, (400, 500, 100), r"expected 3 or 4 columns .* got 2$"),
        (
            _ROWS,
            (400, 600, 100),
            r"expected no column of wavelengths with --response-nm, got one; leave out the option$",
        ),
        ("400,1,0,3\n500,1,0,3\n", None, "a positive response in each column, got one without$"),
        ("400,1,2,3,0\n500,1,2,3,0\n", None, "a positive response in each column, got one without$"),
    ],
)
def test_invalid_files_are_refused(tmp_path, text, grid_nm, match):
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(NircolorError, match=rf"^({path}|--response-nm): [^\n]*{match}"):
        read_response(path, grid_nm)


def test_columns_in_another_order_are_refused(tmp_path):
    """Some cameras have the NIR channel first; then the column of red has no response to visible light."""
    curves = _camera(_NM)[:, [3, 0, 1, 2]]
    curves[_NM <= 700, 0] = 0
    with pytest.raises(
        NircolorError, match=r"c\.csv: expected red, green and blue in this order, got a column"
    ):
        read_response(_csv(tmp_path / "c.csv", _NM, curves))


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(NircolorError, match=r"^[^\n]*none\.csv: expected a CSV .*No such file"):
        read_response(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe4\x000\x000\x00")
    with pytest.raises(NircolorError, match=r"b\.csv: expected a CSV of response curves: 'utf-8'"):
        read_response(tmp_path / "b.csv")
    with pytest.raises(NircolorError, match=r"expected a CSV .*directory"):
        read_response(tmp_path)


@needs_responses
@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("tokyotech_ssf_rgb-nir", 4),
        ("tokyotech_ssf_srgbn", 4),
        ("tokyotech_ssf_xyzn", 4),
        ("tokyotech_ssf_xyz", 3),
        ("MN3776_rgb", 3),
    ],
)
def test_published_responses(name, channels):
    wavelengths_nm = WAVELENGTHS_NM["1.36 nm"]
    response = read_response(RESPONSES / f"{name}_420-1000_10.csv", (420, 1000, 10))
    assert len(response.curves) == channels
    rgb = response.rgb_weights(CUBE, wavelengths_nm)
    np.testing.assert_allclose(rgb.sum(1), 1)
    assert (rgb @ np.where(wavelengths_nm > 700, 1.0, 0)).tolist() == [0, 0, 0]
    # red is at longer wavelengths than blue
    assert rgb[0] @ wavelengths_nm > rgb[2] @ wavelengths_nm
    if channels == 4:
        assert 750 < response.nir_band().center_nm < 950
        assert response.nir_weights(CUBE, wavelengths_nm).sum() == pytest.approx(1)


@needs_responses
def test_published_responses_of_one_channel_are_refused():
    with pytest.raises(NircolorError, match=r"MN3776_mono.*expected 3 or 4 columns .* got 1$"):
        read_response(RESPONSES / "MN3776_mono_420-1000_10.csv", (420, 1000, 10))


def test_colour_science_needs_no_optional_packages_and_changes_nothing_outside():
    code = (
        "import sys\n"
        "for name in ('scipy', 'matplotlib', 'pandas', 'sklearn'): sys.modules[name] = None\n"
        "import numpy as np\n"
        "from nircolor.spectral.response import observer_weights\n"
        "print(observer_weights('x', np.arange(400.0, 701)).sum().round(6))\n"
        "print(np.get_printoptions()['legacy'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("3.0\nFalse\n", "")
