"""Tests of the HTTP API."""

import io
import json
import re
import socket
import struct
import zipfile
import zlib

import numpy as np
import pytest
import rasterio

from nircolor.app.web.store import safe_name
from nircolor.errors import NircolorError
from nircolor.weights import find_model
from tests.app.command_line import gray_png
from tests.app.web.conftest import as_files, by_command_line, files_by_command_line, finished, upload
from tests.imagery.camera_raw_samples import mosaic, save_dng
from tests.imagery.imagery_samples import noise, save, save_envi


def colorize(client, *paths, **fields):
    return client.post("/api/colorize", files=as_files(paths), data=fields)


def detail(answer, status=422):
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"detail"}
    text = answer.json()["detail"]
    assert "\n" not in text
    return text


def held(client):
    """Number of images on the server."""
    return int(re.search(r"^nircolor_images_held (\d+)$", client.get("/metrics").text, re.MULTILINE)[1])


@pytest.mark.parametrize("name", ["night.png", "night.jpg", "night.tif"])
def test_the_result_of_one_request_is_that_of_the_command_line(client, tmp_path, name):
    driver = {"png": "PNG", "jpg": "JPEG", "tif": "GTiff"}[name[-3:]]
    path = save(tmp_path / name, noise(1, 40, 56), driver)
    before = held(client)
    answer = colorize(client, path)
    assert answer.status_code == 200, answer.text
    assert answer.content == by_command_line(path, tmp_path / "colour")
    assert answer.headers["nircolor-model"] == "scene"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert held(client) == before


def test_georeference_and_options_are_those_of_the_command_line(client, tmp_path):
    path = tmp_path / "tile.tif"
    profile = {"driver": "GTiff", "width": 48, "height": 40, "count": 3, "dtype": "uint16"}
    place = rasterio.transform.from_origin(5e5, 5e6, 10, 10)
    with rasterio.open(path, "w", crs="EPSG:32633", transform=place, **profile) as file:
        file.write(noise(3, 40, 48, "uint16") // 16)
        for number, nm in enumerate((783, 842, 945), 1):
            file.update_tags(number, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=nm / 1000)
    answer = colorize(client, path, model="satellite", scale="10000", saturation="1.5", depth="8", bands="")
    expected = by_command_line(
        path, tmp_path / "colour", model="satellite", scale=10000, saturation=1.5, depth=8
    )
    assert answer.content == expected
    with rasterio.open(io.BytesIO(answer.content)) as file:
        assert (file.crs.to_epsg(), file.transform) == (32633, place)


def test_an_envi_header_and_its_data(client, tmp_path):
    header = save_envi(tmp_path, noise(1, 40, 56, "uint16"), name="my cube")
    answer = colorize(client, header, header.with_suffix(".raw"))
    assert answer.content == by_command_line(header, tmp_path / "colour")
    assert "my%20cube.tif" in answer.headers["content-disposition"]


def test_camera_raw(client, tmp_path):
    pytest.importorskip("rawpy", reason="the extra raw")
    assert {".cr2", ".cr3", ".nef", ".dng"} <= set(client.get("/api").json()["extensions"])
    level = 0.1 + 0.4 * noise(1, 40, 56, "float32")[0]
    path = save_dng(tmp_path / "night.dng", mosaic(np.stack([level, 0.6 * level, 0.5 * level])))
    answer = colorize(client, path)
    assert answer.content == by_command_line(path, tmp_path / "colour")
    assert answer.headers["content-disposition"] == 'attachment; filename="night.png"'


@pytest.mark.parametrize("extension", ["tif", "png"])
def test_the_confidence_comes_in_a_zip(client, tmp_path, extension):
    path = save(
        tmp_path / f"nüit.{extension}", noise(1, 40, 56, "uint16"), {"png": "PNG", "tif": "GTiff"}[extension]
    )
    before = held(client)
    answer = colorize(client, path, confidence="true")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''n%C3%BCit.zip"
    assert answer.headers["nircolor-model"] == "scene"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        assert file.namelist() == [f"nüit.{extension}", f"nüit_confidence.{extension}"]
        contents = [file.read(name) for name in file.namelist()]
    assert contents == files_by_command_line(path, tmp_path / "colour", confidence=True)
    assert held(client) == before


def test_the_confidence_in_steps(client, photograph, tmp_path):
    key = upload(client, photograph).json()["id"]
    able = {model["name"]: model["confidence"] for model in client.get("/api").json()["models"]}
    assert able == {"scene": True, "satellite": False, "satellite-1band": False}
    client.post(f"/api/images/{key}/run", json={"confidence": True})
    state = finished(client, key)
    _, expected = files_by_command_line(photograph, tmp_path / "colour", confidence=True)
    assert state["confidence"] == {"name": "night_confidence.tif", "bytes": len(expected)}
    answer = client.get(f"/api/images/{key}/confidence")
    assert answer.content == expected
    assert answer.headers["content-disposition"] == 'attachment; filename="night_confidence.tif"'
    with (
        rasterio.open(io.BytesIO(client.get(f"/api/images/{key}/confidence.jpg").content)) as file,
        rasterio.open(io.BytesIO(expected)) as whole,
    ):
        assert abs(file.read(1).astype(int) - whole.read(1).astype(int) // 257).mean() < 4
    with zipfile.ZipFile(io.BytesIO(client.get("/api/archive", params={"id": key}).content)) as file:
        assert file.namelist() == ["night.tif", "night_confidence.tif"]
    # run again without it
    client.post(f"/api/images/{key}/run", json={})
    assert finished(client, key)["confidence"] is None
    for end in ("confidence", "confidence.jpg"):
        assert detail(client.get(f"/api/images/{key}/{end}"), 409).startswith(
            "night.tif: has no image of the confidence"
        )


def test_warnings_are_headers(server, tmp_path):
    path = save(tmp_path / "dark.tif", noise(1, 40, 56, "uint16") // 32)
    # here, since pytest records warnings for each part of a test
    with server() as client:
        answer = colorize(client, path)
    assert answer.status_code == 200
    assert "--scale 4095" in answer.headers["nircolor-warning"]
    assert str(tmp_path) not in answer.headers["nircolor-warning"]


def test_files_that_are_not_images(client, tmp_path):
    secret = tmp_path / "secret.tif"
    save(secret, noise(1, 8, 8))
    vrt = tmp_path / "a.png"
    vrt.write_text(
        f'<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{secret}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    assert detail(colorize(client, vrt)).startswith("a.png: VRT files are not read")
    text = tmp_path / "b.png"
    text.write_text("/vsicurl/http://127.0.0.1/x.tif")
    assert detail(colorize(client, text)).startswith("b.png: expected a PNG, JPEG")
    packed = tmp_path / "c.zip"
    with zipfile.ZipFile(packed, "w") as file:
        file.write(secret, "secret.tif")
    assert detail(colorize(client, packed)) == "c.zip: ZIP and TAR files are not read; unpack it first"
    empty = tmp_path / "d.tif"
    empty.touch()
    assert detail(colorize(client, empty)) == "d.tif: the file is empty"


def test_claims_of_many_pixels(client, server, tmp_path):
    path = tmp_path / "huge.png"
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 150000, 140000, 8, 0, 0, 0, 0)), (b"IDAT", bytes(100)))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
            for kind, data in chunks
        )
    )
    assert "at most 100000000 pixels (--max-pixels), got 21000000000" in detail(colorize(client, path))
    small = save(tmp_path / "small.png", noise(1, 40, 56), "PNG")
    with server(max_pixels=2000) as strict:
        assert "at most 2000 pixels (--max-pixels), got 2240" in detail(colorize(strict, small))


def test_damage_is_an_error_and_leaves_nothing(client, tmp_path):
    path = gray_png(tmp_path / "a.png", side=100)
    path.write_bytes(path.read_bytes()[:-300])
    before = held(client)
    assert detail(colorize(client, path)).startswith("a.png: the image is damaged or cut off")
    assert held(client) == before


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "scen"}, "model: expected auto, scene, satellite, satellite-1band, got 'scen'"),
        ({"model": "/etc/passwd"}, "model: expected auto, scene, "),
        ({"scale": "many"}, "scale: expected a valid number, got 'many'"),
        ({"scale": "nan"}, "scale: expected a finite number, got 'nan'"),
        ({"bands": "red"}, "--bands: expected numbers separated by commas, got 'red'"),
        ({"saturation": "11"}, "saturation: expected less than or equal to 10, got '11'"),
        ({"colour": "1"}, "colour: no such option"),
        ({"quality": "80"}, "quality: expected a JPEG result (format jpg), got .tif"),
        ({"model": "satellite"}, "night.tif: expected 3 bands"),
        ({"confidence": "maybe"}, "confidence: expected a valid boolean, got 'maybe'"),
        (
            {"model": "satellite-1band", "scale": "10000", "confidence": "true"},
            "--confidence: expected a model that estimates its errors (--model scene), got satellite-1band",
        ),
    ],
)
def test_wrong_options(client, photograph, fields, message):
    assert detail(colorize(client, photograph, **fields)).startswith(message)


def test_one_image_in_a_request(client, tmp_path):
    files = [gray_png(tmp_path / "a.png"), gray_png(tmp_path / "b.png")]
    assert "got a.png, b.png" in detail(colorize(client, *files))
    assert detail(client.post("/api/colorize", data={"model": "scene"})) == (
        "file: expected a file, as in -F file=@night.png, got none"
    )


def test_steps(client, photograph, tmp_path):
    state = upload(client, photograph).json()
    assert (state["state"], state["width"], state["height"], state["dtype"]) == ("ready", 56, 40, "uint16")
    assert [one["name"] for one in state["models"] if one["fits"]] == ["scene", "satellite-1band"]
    assert [one["fits"] for one in state["models"]] == sorted(
        (one["fits"] for one in state["models"]), reverse=True
    )
    key = state["id"]
    assert detail(client.get(f"/api/images/{key}/result"), 409) == "night.tif: has no result (state: ready)"
    assert client.post(f"/api/images/{key}/run", json={"saturation": 0}).status_code == 202
    state = finished(client, key)
    assert (state["state"], state["model"], state["progress"], state["run"]) == ("done", "scene", 1, 1)
    result = client.get(f"/api/images/{key}/result").content
    assert result == by_command_line(photograph, tmp_path / "colour", saturation=0)
    assert state["result"] == {"name": "night.tif", "bytes": len(result)}
    assert client.delete(f"/api/images/{key}").status_code == 204
    assert "no such image" in detail(client.get(f"/api/images/{key}"), 404)


def test_previews_show_the_image_and_the_result(client, tmp_path):
    ramp = np.tile(np.linspace(0, 65535, 256), (64, 1)).astype("uint16")[None]
    key = upload(client, save(tmp_path / "ramp.tif", ramp)).json()["id"]
    client.post(f"/api/images/{key}/run", json={"saturation": 0})
    finished(client, key)
    with rasterio.open(io.BytesIO(client.get(f"/api/images/{key}/before.jpg").content)) as file:
        assert (file.driver, file.width, file.height) == ("JPEG", 256, 64)
        assert abs(file.read(1)[32].astype(int) - np.linspace(0, 255, 256)).max() < 4
    with (
        rasterio.open(io.BytesIO(client.get(f"/api/images/{key}/after.jpg").content)) as file,
        rasterio.open(io.BytesIO(client.get(f"/api/images/{key}/result").content)) as result,
    ):
        assert abs(file.read().astype(int) - result.read().astype(int) // 257).mean() < 4


def test_a_zip_of_results(client, tmp_path):
    paths = [gray_png(tmp_path / "1" / "a.png", seed=1), gray_png(tmp_path / "2" / "a.png", seed=2)]
    keys = [upload(client, path).json()["id"] for path in paths]
    for key in keys:
        client.post(f"/api/images/{key}/run", json={})
    for key in keys:
        finished(client, key)
    content = client.get("/api/archive", params={"id": keys}).content
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert file.namelist() == ["a.png", "a (2).png"]
        for name, path in zip(file.namelist(), paths, strict=True):
            assert file.read(name) == by_command_line(path, path.parent / "colour")


def test_names_of_uploads_do_not_become_paths(client, tmp_path, photograph):
    name = "../../../x/../é \u202e;$(id).tif"
    files = [("file", (name, photograph.read_bytes()))]
    answer = client.post("/api/colorize", files=files)
    assert answer.status_code == 200, answer.text
    assert not [path for path in tmp_path.rglob("*") if "id" in path.name]
    for hostile in (
        "..",
        "a/../../b.tif",
        "\\\\host\\share\\c.tif",
        "/vsizip/d.tif",
        ".hidden",
        "nul\0l.tif",
    ):
        stored = safe_name(hostile)
        assert stored
        assert not set(stored) & set("/\\\0:")
        assert not stored.startswith(".")
    with pytest.raises(NircolorError, match="at most 200 characters, got 304"):
        safe_name(f"{'a' * 300}.tif")


@pytest.mark.parametrize(
    "name", [b"\xff\xfe.png", b"a\x1b[31m.png", "夜.png".encode(), b"a%0d%0a.png", b'a".png', b".."]
)
def test_any_name_is_answered(client, name, tmp_path):
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + name.replace(b'"', b"%22")
    content = gray_png(tmp_path / "a.png").read_bytes()
    body = head + b'"\r\n\r\n' + content + b"\r\n--b--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    for path, status in (("colorize", 200), ("images", 201)):
        assert client.post(f"/api/{path}", content=body, headers=headers).status_code == status
    broken = body.replace(content, b"no image")
    answer = client.post("/api/images", content=broken, headers=headers)
    assert detail(answer).endswith(r"got a file that begins with 'no image'")
    assert "/tmp" not in answer.text


def test_other_models_can_be_offered(server, tiny, photograph, tmp_path):
    with server(models=[tiny("box")]) as client:
        assert [model["name"] for model in client.get("/api").json()["models"]][-1] == "box"
        answer = colorize(client, photograph, model="box")
        assert answer.content == by_command_line(photograph, tmp_path / "colour", model=tiny("box"))
    with pytest.raises(NircolorError, match="expected a model with a name of its own, got another scene"):
        server(models=[find_model("scene")]).__enter__()


def test_the_name_of_a_file_is_kept_where_it_tells_the_bands(client, tmp_path):
    def wavelengths(name):
        path = tmp_path / name
        with rasterio.open(path, "w", driver="GTiff", width=8, height=8, count=2, dtype="uint8") as file:
            file.write(noise(2, 8, 8))
            file.descriptions = ("SR_B4", "SR_B5")
        return upload(client, path).json()["wavelengths_nm"]

    assert wavelengths("a.tif") == [None, None]
    assert None not in wavelengths("LC08_L2SP_190024_20200605.tif")


def test_the_description_is_complete(client):
    description = client.get("/openapi.json").json()
    assert set(description["paths"]) >= {"/api/colorize", "/api/images", "/health", "/metrics"}
    form = description["components"]["schemas"]["ColorizeForm"]
    assert {"file", "model", "bands", "scale", "format"} <= set(form["properties"])
    page = client.get("/docs").text
    for path, operations in description["paths"].items():
        assert path in page
        for operation in operations.values():
            assert operation["summary"] in page
    assert "https://" not in page
    assert json.dumps(description).count("unexpected") == 0


def test_the_server_calls_nobody(server, photograph, monkeypatch):
    called = []
    monkeypatch.setattr(socket.socket, "connect", lambda _self, address: called.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: called.append(address))
    with server() as client:
        assert colorize(client, photograph).status_code == 200
    assert not called


def test_health_and_metrics(server, photograph):
    with server() as client:
        assert client.get("/health").json()["status"] == "ok"
        colorize(client, photograph)
        lines = client.get("/metrics").text.splitlines()
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert figures['nircolor_images_finished_total{state="done"}'] == "1"
    assert figures["nircolor_pixels_total"] == "2240"
    assert float(figures["nircolor_uploaded_bytes_total"]) == photograph.stat().st_size
    assert lines.count("# TYPE nircolor_pixels_total counter") == 1


def test_an_unexpected_error_is_one_line(server, photograph, monkeypatch, capsys):
    from nircolor.app.web import settings

    def fail(*_arguments):
        raise RuntimeError("secret path\nsecond line")

    monkeypatch.setattr(settings.Models, "load", fail)
    with server() as client:
        message = detail(colorize(client, photograph))
        assert "unexpected RuntimeError: secret path second line" in message
        # the thread goes on
        monkeypatch.undo()
        assert colorize(client, photograph).status_code == 200
    assert "unexpected RuntimeError" in capsys.readouterr().err
