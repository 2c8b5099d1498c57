"""Tests of the queue, of cancelling and of deleting."""

import tempfile
import time
from pathlib import Path

import pytest

from nircolor.app.web.store import Store
from nircolor.app.web.work import Queue
from tests.app.command_line import gray_png
from tests.app.web.conftest import as_files, by_command_line, finished, upload
from tests.imagery.imagery_samples import noise, save


@pytest.fixture
def client(server):
    """A client of a server of its own."""
    with server() as client:
        yield client


def start(client, path, **options):
    key = upload(client, path).json()["id"]
    assert client.post(f"/api/images/{key}/run", json=options).status_code == 202
    return key


def state_of(client, key):
    return client.get(f"/api/images/{key}").json()


def folders():
    return [path for path in Path(tempfile.gettempdir()).rglob("image-*") if path.is_dir()]


def test_images_wait_for_their_turn(client, gate, tmp_path):
    paths = [gray_png(tmp_path / f"{number}.png", seed=number) for number in range(3)]
    keys = [start(client, path) for path in paths]
    assert gate.entered.wait(10)
    states = client.get("/api/images", params={"id": [*keys, "unknown"]}).json()
    assert [(one["state"], one["position"]) for one in states] == [
        ("running", 0),
        ("queued", 0),
        ("queued", 1),
    ]
    assert states[0]["progress"] == 0.25
    assert "nircolor_queue_length 2" in client.get("/metrics").text
    again = client.post(f"/api/images/{keys[0]}/run", json={})
    assert (again.status_code, again.json()["detail"]) == (409, "0.png: is being colorized; cancel it first")
    gate.opened.set()
    for key, path in zip(keys, paths, strict=True):
        assert finished(client, key)["state"] == "done"
        assert client.get(f"/api/images/{key}/result").content == by_command_line(path, tmp_path / "colour")


def test_clients_take_turns(server, gate, tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(Queue, "_best_model", lambda _self, image: order.append(image.name) or "scene")
    client_now = "many"
    monkeypatch.setattr("nircolor.app.web.api.client_of", lambda _scope: client_now)
    with server() as client:
        keys = [start(client, gray_png(tmp_path / f"m{number}.png")) for number in range(4)]
        assert gate.entered.wait(10)
        client_now = "few"
        keys += [start(client, gray_png(tmp_path / f"f{number}.png")) for number in range(2)]
        states = client.get("/api/images", params={"id": keys}).json()
        # the first one is running
        assert [one["position"] for one in states[1:]] == [1, 3, 4, 0, 2]
        gate.opened.set()
        for key in keys:
            assert finished(client, key)["state"] == "done"
    assert order == ["m0.png", "f0.png", "m1.png", "f1.png", "m2.png", "m3.png"]


def test_a_preview_adds_no_warnings(server, gate, tmp_path):
    path = save(tmp_path / "dark.tif", noise(1, 40, 56, "uint16") // 32)
    # here, since pytest records warnings for each part of a test
    with server() as client:
        key = start(client, path, model="scene")
        assert gate.entered.wait(10)
        assert client.get(f"/api/images/{key}/before.jpg").status_code == 200
        assert state_of(client, key)["warnings"] == []
        gate.opened.set()
        assert "--scale 4095" in finished(client, key)["warnings"][0]


def test_cancel(client, gate, photograph):
    running, waiting = (start(client, photograph) for _ in range(2))
    assert gate.entered.wait(10)
    assert client.delete(f"/api/images/{waiting}/run").json()["state"] == "cancelled"
    client.delete(f"/api/images/{running}/run")
    state = finished(client, running)
    assert (state["state"], state["result"], state["error"]) == ("cancelled", None, None)
    assert client.get(f"/api/images/{running}/result").status_code == 409
    # nothing unfinished is left
    assert not list(Path(tempfile.gettempdir()).rglob("out/*"))
    # and it can be started again
    gate.opened.set()
    client.post(f"/api/images/{running}/run", json={})
    assert finished(client, running)["state"] == "done"


def test_delete_while_it_is_colorized(client, gate, photograph):
    key = start(client, photograph)
    assert gate.entered.wait(10)
    assert client.delete(f"/api/images/{key}").status_code == 204
    until = time.monotonic() + 10
    while folders() and time.monotonic() < until:
        time.sleep(0.02)
    assert not folders()


def test_images_are_deleted_after_their_time(server, gate, photograph, monkeypatch):
    with server(keep_seconds=100) as client:
        store = None
        found = Store.remove_expired

        def remember(self):
            nonlocal store
            store = self
            found(self)

        monkeypatch.setattr(Store, "remove_expired", remember)
        monkeypatch.setattr("nircolor.app.web.application._SWEEP_S", 0.01)
        running, ready = start(client, photograph), upload(client, photograph).json()["id"]
        assert gate.entered.wait(10)
        assert 90 < state_of(client, ready)["expires_in"] <= 100
        now = time.monotonic()
        monkeypatch.setattr("nircolor.app.web.store.time.monotonic", lambda: now + 101)
        until = time.time() + 10
        while len(folders()) > 1 and time.time() < until:
            time.sleep(0.02)
        # work is not lost because of a long queue
        assert client.get(f"/api/images/{ready}").status_code == 404
        assert state_of(client, running)["state"] == "running"
        gate.opened.set()


def test_a_full_server(server, photograph, monkeypatch):
    with server(max_images=1) as client:
        assert upload(client, photograph).status_code == 201
        answer = upload(client, photograph)
        assert (answer.status_code, answer.json()["detail"]) == (
            503, "the server holds 1 images, its limit; try again later",
        )  # fmt: skip
    with server() as client:
        usage = type("Usage", (), {"free": 10})
        monkeypatch.setattr("nircolor.app.web.store.shutil.disk_usage", lambda _path: usage)
        answer = client.post("/api/colorize", files=as_files([photograph]))
        assert (answer.status_code, answer.json()["detail"]) == (
            503, "the disk of the server is nearly full; try again later",
        )  # fmt: skip


def test_nothing_is_left_when_the_server_stops(server, gate, photograph):
    with server() as client:
        upload(client, photograph)
        start(client, photograph)
        assert gate.entered.wait(10)
        assert len(folders()) == 2
    assert not list(Path(tempfile.gettempdir()).iterdir())


def test_many_clients_get_their_own_results(server, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    paths = [gray_png(tmp_path / str(number) / "a.png", seed=number) for number in range(4)]
    expected = [by_command_line(path, path.parent / "colour") for path in paths]
    assert len(set(expected)) == len(paths)
    with server(jobs=2) as client, ThreadPoolExecutor(4) as pool:
        send = lambda path: client.post("/api/colorize", files=as_files([path])).content  # noqa: E731
        assert list(pool.map(send, paths)) == expected
