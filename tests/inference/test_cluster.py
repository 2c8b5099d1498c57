"""Colorize on a cluster of Ray, which runs on this machine, from folders and from a local S3 server."""

import json
import os
import signal

import pytest

from nircolor.errors import NircolorError
from nircolor.inference import Colorizer
from nircolor.inference.cluster import MANIFEST, Manifest, colorize_on_cluster, plan_tasks
from tests.imagery.imagery_samples import noise, save
from tests.tiny_models import per_pixel

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
            own = [pid for pid in children(os.getpid()) if command(pid).startswith("ray::Worker")]
            assert own
            os.kill(own[0], signal.SIGKILL)
    assert [one.error for one in outcomes if one.status == "failed"] == []
    assert len(outcomes) == 60
    assert len(list((tmp_path / "out").glob("*.png"))) == 60


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


def test_from_s3_to_s3(cluster, folder, model, tmp_path):
    import s3fs

    fs = s3fs.S3FileSystem()
    fs.mkdir("photos")
    fs.put(str(folder), "photos/nir", recursive=True)
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


def test_no_cluster_at_the_address(folder, model, tmp_path, monkeypatch):
    def refuse(**_options):
        raise ConnectionError("timed out")

    # the client of Ray waits for half a minute
    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(NircolorError, match=r"--cluster ray://127\.0\.0\.1:9: no cluster of Ray there"):
        run(folder, tmp_path / "out", model, address="ray://127.0.0.1:9")
    assert not list((tmp_path / "out").glob("*.png"))
