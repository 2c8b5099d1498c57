import json

from nircolor.imagery import open_raster
from tests.imagery.bands.test_converted import converted_image
from tests.imagery.imagery_samples import save


def test_colorize_and_info(nircolor, tmp_path):
    path = tmp_path / "camera.png"
    save(path, converted_image(), "PNG")
    shown = nircolor("info", path)
    assert shown.code == 0
    assert "--from converted" in shown.err
    shown = nircolor("info", path, "--from", "converted", "--json")
    content = json.loads(shown.out)
    assert len(content["bands"]) == 1
    assert "--from converted" in shown.out
    done = nircolor("colorize", path, "-o", tmp_path / "out", "--from", "converted")
    assert (done.code, "warning" in done.err) == (0, False)
    with open_raster(tmp_path / "out/camera.png", bands_nm=(620, 550, 460)) as raster:
        assert (raster.bands, raster.height, raster.width) == (3, 48, 60)
    refused = nircolor("colorize", path, "-o", tmp_path / "other", "--from", "phone")
    assert refused.code == 2
    assert "--from" in refused.err
