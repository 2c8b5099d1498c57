"""Compiled loops without a folder for the compiler's cache."""

import os
import subprocess
import sys


def test_functions_compile_without_a_folder_for_the_cache(tmp_path):
    """In a container with read-only files Numba refuses to cache."""
    script = tmp_path / "loops.py"
    script.write_text(
        "from nircolor.models.graph.machine_code import machine_code\n"
        "@machine_code()\n"
        "def double(number):\n"
        "    return 2 * number\n"
        "print(double(2), double.stats.cache_path is None)\n"
    )
    # leaves Numba only a cache location that does not apply to the script
    environment = os.environ | {"NUMBA_CACHE_LOCATOR_CLASSES": "ZipCacheLocator"}
    command = [sys.executable, str(script)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert ended.stdout == "4 True\n"
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ended.stdout == "4 False\n"
