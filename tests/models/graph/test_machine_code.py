"""Compiled loops where nothing may be written."""

import os
import subprocess
import sys


def test_without_a_place_for_its_cache_it_compiles_all_the_same(tmp_path):
    """As in a container whose files are read-only: Numba refuses to cache there."""
    script = tmp_path / "loops.py"
    script.write_text(
        "from nircolor.models.graph.machine_code import machine_code\n"
        "@machine_code()\n"
        "def double(number):\n"
        "    return 2 * number\n"
        "print(double(2), double.stats.cache_path is None)\n"
    )
    # of all places that Numba looks for, one that the script is not in
    environment = os.environ | {"NUMBA_CACHE_LOCATOR_CLASSES": "ZipCacheLocator"}
    command = [sys.executable, str(script)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert ended.stdout == "4 True\n"
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ended.stdout == "4 False\n"
