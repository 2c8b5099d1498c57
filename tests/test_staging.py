"""Hidden folders of unfinished outputs never outlive their process for long."""

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from nircolor import staging


@pytest.fixture(autouse=True)
def _as_a_new_process(monkeypatch):
    monkeypatch.setattr(staging, "_swept", set())


def _hold(parent: Path) -> "subprocess.Popen[str]":
    """Start a process that keeps a folder with a file in it."""
    code = f"""
        import sys, time
        from pathlib import Path
        from nircolor.staging import staging_folder
        with staging_folder(Path({str(parent)!r})) as folder:
            (folder / "staged.tif").write_bytes(bytes(1000))
            print("ready", flush=True)
            time.sleep(60)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def _kill(child: "subprocess.Popen[str]") -> None:
    child.send_signal(signal.SIGKILL)
    child.communicate()


def test_a_folder_is_removed_with_its_block(tmp_path):
    with staging.staging_folder(tmp_path / "new" / "parent") as folder:
        (folder / "a").write_text("a")
    assert list((tmp_path / "new" / "parent").iterdir()) == []


def test_the_litter_of_a_killed_process_is_removed_by_the_next_one(tmp_path):
    _kill(_hold(tmp_path))
    (litter,) = tmp_path.iterdir()
    assert (litter / "files" / "staged.tif").exists()
    with staging.staging_folder(tmp_path):
        assert not litter.exists()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_live_process_is_kept(tmp_path):
    child = _hold(tmp_path)
    try:
        (folder,) = tmp_path.iterdir()
        with staging.staging_folder(tmp_path):
            assert (folder / "files" / "staged.tif").exists()
    finally:
        _kill(child)


def test_another_folder_of_this_process_is_kept(tmp_path, monkeypatch):
    with staging.staging_folder(tmp_path) as first:
        monkeypatch.setattr(staging, "_swept", set())
        with staging.staging_folder(tmp_path):
            assert first.exists()


def test_the_litter_of_another_host_is_kept(tmp_path):
    _kill(_hold(tmp_path))
    (litter,) = tmp_path.iterdir()
    (litter / "owner").write_text(f"not-{socket.gethostname()}")
    with staging.staging_folder(tmp_path):
        assert litter.exists()


@pytest.mark.parametrize(("age_s", "kept"), [(0, True), (3600, False)])
def test_a_folder_without_an_owner_file_is_removed_once_old(tmp_path, age_s, kept):
    (tmp_path / ".nircolor-abc").mkdir()
    os.utime(tmp_path / ".nircolor-abc", (time.time() - age_s,) * 2)
    with staging.staging_folder(tmp_path):
        assert (tmp_path / ".nircolor-abc").exists() is kept


def test_a_users_folder_of_such_a_name_is_kept(tmp_path):
    (tmp_path / ".nircolor-mine").mkdir()
    (tmp_path / ".nircolor-mine" / "notes.txt").write_text("mine")
    os.utime(tmp_path / ".nircolor-mine", (0, 0))
    with staging.staging_folder(tmp_path):
        assert (tmp_path / ".nircolor-mine" / "notes.txt").exists()


def test_remove_all_while_another_thread_writes(tmp_path):
    """In a process of its own, as no folder can be made afterwards."""
    code = f"""
        import os, threading, time
        from pathlib import Path
        from nircolor import staging
        folder = staging.create(Path({str(tmp_path)!r}))
        def write():
            number = 0
            while True:
                number += 1
                try:
                    (folder / str(number)).write_bytes(bytes(10))
                except OSError:
                    pass
        def make():
            while True:
                staging.create(Path({str(tmp_path)!r}))
        for target in (write, make):
            threading.Thread(target=target, daemon=True).start()
        time.sleep(0.2)
        staging.remove_all()
        time.sleep(0.2)
        os._exit(0)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_an_owner_file_of_another_kind_is_left_alone(tmp_path, kind):
    folder = tmp_path / ".nircolor-x"
    folder.mkdir()
    if kind == "pipe":
        os.mkfifo(folder / "owner")
    else:
        (tmp_path / "target").write_text("")
        (folder / "owner").symlink_to(tmp_path / "target")
    with staging.staging_folder(tmp_path):
        assert folder.exists()


# --- a full disk


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_told_by_the_error_or_its_cause(tmp_path, number):
    error = ValueError("from a library")
    error.__cause__ = OSError(number, "as the system says")
    assert staging.reason_if_full(error, tmp_path) == os.strerror(number)


def test_a_full_disk_is_told_by_its_free_space_and_a_quota_by_writing(tmp_path, monkeypatch):
    error = ValueError("from a library that does not tell")
    assert staging.reason_if_full(error, tmp_path) is None
    assert staging.reason_if_full(error, tmp_path / "missing") is None
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: shutil._ntuple_diskusage(100, 90, 10))
    assert staging.reason_if_full(error, tmp_path, size=10) is None
    assert staging.reason_if_full(error, tmp_path, size=11) == os.strerror(errno.ENOSPC)

    def refuse(**_options):
        raise OSError(errno.EDQUOT, "quota")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert staging.reason_if_full(error, tmp_path) == os.strerror(errno.EDQUOT)
    assert list(tmp_path.iterdir()) == []
