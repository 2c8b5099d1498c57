"""Colorize on a cluster of Ray, which runs on this machine, from folders and from a local S3 server."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import rasterio

from nircolor.errors import DiskFullError, NircolorError
from nircolor.inference import Colorizer
from nircolor.inference.cluster import MANIFEST, Manifest, colorize_on_cluster, plan_tasks, running
from nircolor.inference.cluster.tasks import DISK_FULL, Outcome, Task
from nircolor.inference.cluster.worker import Large, LargeWriter, Settings, Worker
from tests.imagery.imagery_samples import noise, save
from tests.tiny_models import bounded, per_pixel, position

ray = pytest.importorskip("ray", reason="needs the extra cluster")
pytest.importorskip("s3fs", reason="needs the extra cluster")
moto_server = pytest.importorskip("moto.server", reason="needs moto")


@pytest.fixture(scope="module")
def server():
    started = moto_server.ThreadedMotoServer(port=0)
    started.start()
    host, port = started.get_host_and_port()
    patch = pytest.MonkeyPatch()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1", "FSSPEC_S3_ENDPOINT_URL": f"http://{host}:{port}",
        "RAY_USAGE_STATS_ENABLED": "0",
    }.items():  # fmt: skip
        patch.setenv(name, value)
    yield
    patch.undo()
    started.stop()


@pytest.fixture(scope="module")
def cluster(server):
    ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(6):
        save(tmp_path / "in" / f"{i}.png", noise(1, 40, 30, seed=i), "PNG")
    return tmp_path / "in"


@pytest.fixture
def model(tmp_path):
    return per_pixel(tmp_path / "m.onnx")


def run(inputs, output, model, **options):
    return list(
        colorize_on_cluster(plan_tasks([str(inputs)], str(output)), str(output), model=str(model), **options)
    )


def test_the_files_of_a_local_run_and_a_manifest_to_continue_from(cluster, folder, model, tmp_path):
    (folder / "3.png").write_bytes(b"no image")
    outcomes = run(folder, tmp_path / "out", model)
    assert sorted(one.status for one in outcomes) == ["done"] * 5 + ["failed"]
    (failed,) = (one for one in outcomes if one.status == "failed")
    assert failed.error.startswith(f"{folder / '3.png'}: expected a PNG")
    for i in (0, 1, 2, 4, 5):
        Colorizer(model).colorize_file(folder / f"{i}.png", tmp_path / "local.png", overwrite=True)
        assert (tmp_path / "out" / f"{i}.png").read_bytes() == (tmp_path / "local.png").read_bytes()
    assert not (tmp_path / "out" / "3.png").exists()
    assert len(Manifest(str(tmp_path / "out")).finished()) == 5
    # the manifest alone is enough
    (tmp_path / "out" / "0.png").unlink()
    again = run(folder, tmp_path / "out", model, skip_existing=True)
    assert sorted(one.status for one in again) == ["failed", *["skipped"] * 5]
    assert not (tmp_path / "out" / "0.png").exists()


def test_the_work_of_a_killed_worker_is_done_again(cluster, folder, tmp_path):
    model = per_pixel(tmp_path / "m.onnx")
    for i in range(6, 60):
        save(folder / f"{i}.png", noise(1, 200, 300, seed=i), "PNG")
    outcomes, killed = [], False
    for outcome in colorize_on_cluster(
        plan_tasks([str(folder)], str(tmp_path / "out")), str(tmp_path / "out"), model=str(model)
    ):
        outcomes.append(outcome)
        if not killed:
            killed = True
            kill_one("Worker")
    assert [one.error for one in outcomes if one.status == "failed"] == []
    assert len(outcomes) == 60
    assert len(list((tmp_path / "out").glob("*.png"))) == 60


def kill_one(title):
    """Kill a process of the cluster, as the system does when memory runs out."""
    found = [pid for pid in children(os.getpid()) if command(pid).startswith(f"ray::{title}")]
    assert found
    os.kill(found[0], signal.SIGKILL)


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return ""


def children(pid):
    """All processes below this one."""
    parents = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8") as file:  # noqa: PTH123
                    parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, new = set(), {pid}
    while new:
        new = {one for one, parent in parents.items() if parent in new} - found
        found |= new
    return sorted(found)


@pytest.fixture
def raster(tmp_path):
    """A georeferenced raster with invalid pixels."""
    path = tmp_path / "in" / "scene.tif"
    path.parent.mkdir(exist_ok=True)
    image = noise(1, 700, 300, "uint16", seed=5)
    image[0, 200:300, 50:120] = 0
    return save(
        path, image, crs="EPSG:32632", transform=rasterio.transform.from_origin(5e5, 5e6, 10, 10), nodata=0
    )


def split(raster, output, model, **options):
    """Colorize a raster on several workers: 50 kB could hold more than 200,000 pixels."""
    return run(
        raster,
        output,
        model,
        split_px=200_000,
        tile_px=64,
        options={"cog": True, "confidence": False, **options},
    )


@pytest.mark.parametrize("place", ["folder", "s3"])
@pytest.mark.parametrize("is_large", [False, True])
def test_an_output_of_a_process_that_died_before_it_said_so_counts_as_done(
    server, raster, tmp_path, is_large, place
):
    model, output = bounded(tmp_path / "m.onnx"), str(tmp_path / "out")
    if place == "s3":
        boto3, bucket = pytest.importorskip("boto3", reason="needs moto"), f"died-{is_large:d}"
        boto3.client("s3").create_bucket(Bucket=bucket)
        output = f"s3://{bucket}/out"
    (task,) = plan_tasks([str(raster)], output)

    def write(started):
        split_px = 200_000 if is_large else None
        settings = Settings(str(model), 64, {"confidence": True}, False, split_px, started)
        worker = Worker(settings)
        result = worker.run(task)
        if is_large and isinstance(result, Large):
            writer, large, index = LargeWriter(settings, result), result, 0
            while (result := writer.add(index, worker.strip(large, index))) is None:
                index += 1
            worker.close()
        return result

    now = time.time()
    assert write(now - 5).status == "done"
    assert write(now - 5).status == "done"
    # of an earlier run
    after = write(now + 60)
    assert after.status == "failed"
    assert after.error.endswith("exists already; it is replaced only with --overwrite")
    if place == "folder":
        # died between the two files
        (tmp_path / "out" / "scene_confidence.tif").unlink()
        assert write(now - 5).status == "failed"


@pytest.mark.parametrize("stops", [True, False])
def test_a_full_disk_stops_the_run_unless_it_is_that_of_a_worker(
    cluster, folder, model, tmp_path, monkeypatch, stops
):
    output = str(tmp_path / "out") if stops else "s3://bucket/out"
    task = Task(str(folder / "0.png"), f"{output}/0.png", 100)
    error = DiskFullError("0.png: cannot be written (No space left on device)")
    status, message = Settings(str(model), None, {}, False, None, 0.0).status_after(error, task)
    assert (status, message) == (DISK_FULL if stops else "failed", str(error))
    if not stops:
        return
    outcomes = [
        Outcome(task.input, task.output, 100, "done"),
        Outcome(task.input, task.output, 100, status, message),
    ]
    monkeypatch.setattr(running._Run, "outcomes", lambda _run: iter(outcomes))
    results = colorize_on_cluster([task], output, model=str(model))
    assert next(results).status == "done"
    with pytest.raises(DiskFullError, match=r"^0\.png: cannot be written"):
        next(results)


@pytest.mark.parametrize("make", [position, bounded])
def test_a_large_raster_is_the_same_file(cluster, raster, make, tmp_path, monkeypatch):
    model = make(tmp_path / "m.onnx")
    confidence, given = make is bounded, []
    add = running._Run._add
    monkeypatch.setattr(running._Run, "_add", lambda *args: (given.append(args), add(*args)))
    (outcome,) = split(raster, tmp_path / "out", model, confidence=confidence, saturation=1.5)
    assert outcome.status == "done", outcome
    # all rows of tiles went to the writer
    assert len(given) > 10
    Colorizer(model, tile_px=64).colorize_file(
        raster, tmp_path / "local.tif", cog=True, confidence=confidence, saturation=1.5
    )
    for end in ("", "_confidence")[: 1 + confidence]:
        made = (tmp_path / "out" / f"scene{end}.tif").read_bytes()
        assert made == (tmp_path / f"local{end}.tif").read_bytes()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        [MANIFEST, "scene.tif", *["scene_confidence.tif"] * confidence]
    )


@pytest.mark.parametrize("title", ["Worker", "LargeWriter"])
def test_the_rows_of_a_killed_process_are_done_again(cluster, raster, model, tmp_path, monkeypatch, title):
    add, killed = running._Run._add, []

    def add_and_kill(run, splitting):
        # the writer has started by then
        if splitting.added == 2 and not killed:
            killed.append(title)
            kill_one(title)
        add(run, splitting)

    monkeypatch.setattr(running._Run, "_add", add_and_kill)
    (outcome,) = split(raster, tmp_path / "out", model)
    assert killed
    assert outcome.status == "done", outcome
    Colorizer(model, tile_px=64).colorize_file(raster, tmp_path / "local.tif", cog=True)
    assert (tmp_path / "out" / "scene.tif").read_bytes() == (tmp_path / "local.tif").read_bytes()


def test_a_large_raster_that_is_damaged_leaves_nothing(cluster, model, tmp_path):
    path = save(tmp_path / "scene.tif", noise(1, 700, 300), compress="deflate", blockysize=16)
    whole = path.read_bytes()
    # a strip of the middle
    with rasterio.open(path) as dataset:
        start = int(dataset.get_tag_item("BLOCK_OFFSET_0_30", "TIFF", 1))
    path.write_bytes(whole[:start] + bytes(2000) + whole[start + 2000 :])
    (outcome,) = split(path, tmp_path / "out", model)
    assert outcome.status == "failed"
    assert outcome.error.startswith(f"{path}: the image is damaged or cut off")
    assert [one.name for one in (tmp_path / "out").iterdir()] == [MANIFEST]


def test_warnings_and_whole_messages_arrive(cluster, raster, model, tmp_path):
    output = tmp_path / ("long" * 50)
    output.mkdir()
    save(raster.with_name("b.png"), noise(1, 40, 30), "PNG")
    (output / "b.png").touch()
    tasks = plan_tasks([str(raster.parent)], str(output), output_format="png")
    failed, done = sorted(
        colorize_on_cluster(tasks, str(output), model=str(model)), key=lambda one: one.input
    )
    assert any("its georeference does not fit into PNG" in text for text in done.warnings)
    # the option that helps is at the end
    assert failed.error == f"{output / 'b.png'}: exists already; it is replaced only with --overwrite"


def test_from_s3_to_s3(cluster, folder, model, raster, tmp_path):
    import s3fs

    fs = s3fs.S3FileSystem()
    fs.mkdir("photos")
    fs.put([str(folder / f"{i}.png") for i in range(6)], "photos/nir/")
    outcomes = run("s3://photos/nir", "s3://photos/colour", model)
    assert [one.status for one in outcomes] == ["done"] * 6, outcomes
    Colorizer(model).colorize_file(folder / "2.png", tmp_path / "local.png")
    assert fs.cat_file("photos/colour/2.png") == (tmp_path / "local.png").read_bytes()
    lines = [
        json.loads(line)
        for path in fs.find(f"photos/colour/{MANIFEST}")
        for line in fs.cat_file(path).decode().splitlines()
        if line
    ]
    assert {line["input"] for line in lines} == {f"s3://photos/nir/{i}.png" for i in range(6)}
    fs.put(str(raster), "photos/large/scene.tif")
    (outcome,) = split("s3://photos/large", "s3://photos/colour", model)
    assert outcome.status == "done", outcome
    Colorizer(model, tile_px=64).colorize_file(raster, tmp_path / "local.tif", cog=True)
    assert fs.cat_file("photos/colour/scene.tif") == (tmp_path / "local.tif").read_bytes()
    again = run("s3://photos/nir", "s3://photos/colour", model)
    assert {one.status for one in again} == {"failed"}
    assert again[0].error.endswith("exists already; it is replaced only with --overwrite")


def test_a_bucket_that_is_missing_or_denied(server, tmp_path):
    import boto3

    with pytest.raises(NircolorError, match="s3://missing/nir: no such file, folder or bucket"):
        plan_tasks(["s3://missing/nir"], str(tmp_path))
    client = boto3.client("s3")
    client.create_bucket(Bucket="denied")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::denied", "arn:aws:s3:::denied/*"],
    }
    client.put_bucket_policy(
        Bucket="denied", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    with pytest.raises(NircolorError, match="s3://denied/nir: access denied"):
        plan_tasks(["s3://denied/nir"], str(tmp_path))


def test_a_cluster_that_disappears(folder, model, tmp_path):
    """A process of its own: Ray ends the process that is connected to a dead cluster."""
    code = """
import os, signal, sys
from pathlib import Path
import ray
from nircolor.app.cluster import run_on_cluster
from nircolor.inference.cluster import running
from tests.inference.test_cluster import children, command

fill = running._Run._fill
def fill_and_kill(self):
    fill(self)
    for pid in children(os.getpid()):
        if pid != os.getpid():
            os.kill(pid, signal.SIGKILL)
running._Run._fill = fill_and_kill
ray.init(num_cpus=1, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
run_on_cluster([sys.argv[1]], sys.argv[2], "auto", sys.argv[3], None, {}, {}, skip_existing=False, quiet=True)
"""
    arguments = [sys.executable, "-c", code, str(folder), str(tmp_path / "out"), str(model)]
    ended = subprocess.run(
        arguments,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
    )
    assert ended.returncode == 2, ended.stderr
    assert "error: --cluster auto: the cluster is gone (" in ended.stderr
    assert "run the command again with --skip-existing to continue" in ended.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == [MANIFEST]


def test_a_cluster_that_wants_a_token(folder, model, tmp_path, monkeypatch):
    def refuse(**_options):
        try:
            raise RuntimeError("RPC error: InvalidAuthToken: Authentication token is missing or incorrect")
        except RuntimeError as error:
            raise ConnectionError("Failed to connect") from error

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(NircolorError, match="expects a token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"):
        run(folder, tmp_path / "out", model, address="10.0.0.5:6379")


def test_no_cluster_at_the_address(folder, model, tmp_path, monkeypatch):
    def refuse(**_options):
        raise ConnectionError("timed out")

    # the client of Ray waits for half a minute
    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(NircolorError, match=r"--cluster ray://127\.0\.0\.1:9: no cluster of Ray there"):
        run(folder, tmp_path / "out", model, address="ray://127.0.0.1:9")
    assert not list((tmp_path / "out").glob("*.png"))
