"""A signal ends a command at once, whatever it is doing, and leaves nothing behind."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest

# a minute in one call that Python cannot interrupt, as one into GDAL
PROGRAM = """
    import hashlib, threading
    from pathlib import Path
    from nircolor import staging
    from nircolor.app import stopping, terminal
    terminal.prepare_streams()
    stopping.install()
    stopping.promise("all is well")
    def work():
        with staging.staging_folder(Path("out")) as folder:
            (folder / "staged.tif").write_bytes(bytes(10_000_000))
            print("ready", flush=True)
            hashlib.pbkdf2_hmac("sha256", b"", b"", 50_000_000)
    {run}
"""


def start(tmp_path, run, *, before=""):
    code = textwrap.dedent(PROGRAM).format(run=run)
    child = subprocess.Popen(
        ["bash", "-c", f'{before} exec "$@"', "-", sys.executable, "-c", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.mark.parametrize("run", ["work()", "t = threading.Thread(target=work); t.start(); t.join()"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("pause_s", [None, 0, 0.02])
def test_a_signal_ends_the_process_without_litter(tmp_path, run, name, pause_s):
    child = start(tmp_path, run)
    begin = time.monotonic()
    child.send_signal(getattr(signal, name))
    for other in () if pause_s is None else ("SIGINT", "SIGTERM", "SIGHUP"):
        time.sleep(pause_s)
        child.send_signal(getattr(signal, other))
    out, err = child.communicate(timeout=30)
    # a second, and time for a busy machine
    assert time.monotonic() - begin < 5
    assert (child.returncode, out, err) == (130, "", "stopping…\ninterrupted; all is well\n")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_signal_that_is_ignored_stays_ignored(tmp_path):
    """As under nohup."""
    child = start(tmp_path, "work()", before="trap '' HUP;")
    child.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    assert child.communicate(timeout=30)[1].startswith("stopping…")
    assert child.returncode == 130


def test_what_is_held_back_is_printed_at_the_end(tmp_path):
    run = """
    import sys
    stuck = lambda: threading.Event().wait()
    with stopping.calling(stuck), stopping.calling(lambda: print("warning: a", file=sys.stderr)):
        work()
"""
    child = start(tmp_path, textwrap.dedent(run))
    child.send_signal(signal.SIGTERM)
    err = child.communicate(timeout=30)[1]
    assert err == "stopping…\nwarning: a\ninterrupted; all is well\n"


def test_a_signal_during_a_commit_waits_for_it(tmp_path):
    run = """
    with staging.committing():
        Path("first").write_text("")
        print("ready", flush=True)
        import time
        time.sleep(0.2)
        Path("second").write_text("")
    time.sleep(60)
"""
    child = start(tmp_path, textwrap.dedent(run))
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=30)
    assert child.returncode == 130
    assert (tmp_path / "second").exists()
