"""GPU benchmark, on the CPU: data is stored without loss, and all rows of the tables take a step."""

import json
import lzma
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nircolor.models.graph import GraphConv, nearest  # noqa: E402
from nircolor.models.graph.edge_sums import in_blocks  # noqa: E402

pytestmark = pytest.mark.skipif(
    not (Path(__file__).parents[2] / "benchmarks").exists(), reason="a source distribution has no benchmarks"
)

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def gpu_training():
    threads = torch.get_num_threads()
    # small operations on a busy machine: threads would wait for each other
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(_BENCHMARKS))
        import gpu_training

        yield gpu_training
        torch.set_num_threads(threads)
        for name in ("gpu_training", "gpu_speed", "gpu_run", "gpu_rows", "gpu_data"):
            sys.modules.pop(name)


@pytest.fixture(scope="module")
def packed(gpu_training, tmp_path_factory):  # noqa: ARG001
    """Three bands and colour of eight patches, two for each split but training."""
    import gpu_data

    folder = tmp_path_factory.mktemp("packed")
    planes = np.random.default_rng(0).integers(0, 3000, (8, 6, 64, 64), np.int16)
    splits = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    about = {"shape": planes.shape, "splits": {f"patch_{i}": split for i, split in enumerate(splits)}}
    (folder / "patches.json").write_text(json.dumps(about))
    (folder / "patches.xz").write_bytes(lzma.compress(gpu_data._residual(planes).tobytes(), preset=0))
    return folder, torch.from_numpy(planes)


def test_patches_are_stored_without_loss(packed):
    import gpu_data

    folder, planes = packed
    patches = gpu_data.load_sentinel2(folder, torch.device("cpu"))
    assert torch.equal(torch.cat([patches.train, patches.val, patches.test]), planes)
    assert patches.names == ["patch_6", "patch_7"]


def test_batches_are_turned_patches(packed):
    import gpu_data

    folder, _ = packed
    patches = gpu_data.load_sentinel2(folder, torch.device("cpu"))
    batches = gpu_data.Batches(patches, 16, 64, True, seed=0)
    nir, rgb = batches.draw(torch.tensor([5]))
    assert nir.shape == rgb.shape == (16, 3, 64, 64)
    assert torch.equal(nir, batches.draw(torch.tensor([5]))[0])
    images = torch.cat([nir, rgb], 1)
    turned = [
        patch.rot90(times, (1, 2)) / patches.scales
        for one in patches.train
        for patch in (one, one.flip(2))
        for times in range(4)
    ]
    assert all(any(torch.equal(image, other) for other in turned) for image in images)


def test_rows_train_and_are_unpacked(gpu_training, packed, tmp_path, monkeypatch):
    folder, _ = packed
    names = ("unet-1band-0", "no_gradient-0")
    table = gpu_training.TABLES["structure_aware"]
    table = table._replace(
        rows={name: table.rows[name] for name in names}, batch=(2, 32, True), bfloat16=False
    )
    monkeypatch.setitem(gpu_training.TABLES, "structure_aware", table)
    arguments = ["train", "structure_aware", folder, "-o", tmp_path, "--device", "cpu"]
    arguments += ["--steps", "3", "--width", "2"]
    monkeypatch.setattr("sys.argv", ["gpu_training.py", *map(str, arguments)])
    gpu_training.main()
    run = json.loads((tmp_path / "structure_aware.json").read_text())
    assert tuple(run["rows"]) == names
    assert all(np.isfinite(row["loss"]) and row["val_psnr_db"] > 0 for row in run["rows"].values())
    for part in range(4):
        arguments = ["unpack", tmp_path / f"colorized_{part}.npz", "-o", tmp_path / "images"]
        monkeypatch.setattr("sys.argv", ["gpu_training.py", *map(str, arguments)])
        gpu_training.main()
    written = {path.relative_to(tmp_path / "images").as_posix() for path in tmp_path.glob("images/*/*")}
    assert written == {f"{row}/patch_{i}.png" for row in run["rows"] for i in (6, 7)}


def test_forms_of_a_graph_convolution_agree(gpu_training):  # noqa: ARG001
    import gpu_speed

    from nircolor.models.graph.edges import direct

    layer, h = GraphConv(6, 4, rank=2, decay=10.0), torch.randn(1, 6, 12, 12)
    graph = nearest(h, 4)
    sums = [in_blocks(h, graph, layer.edge_network(), form) for form in (direct, gpu_speed.by_edges)]
    assert torch.allclose(*sums, atol=1e-5)
