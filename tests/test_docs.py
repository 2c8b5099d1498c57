"""What the documentation points to is there, and its tables are those of the results."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "recipes/*.md", "results/**/*.md", "benchmarks/**/*.md")
    for page in REPOSITORY.glob(pattern)
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_between_files_resolve(page):
    targets = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    broken = [
        target for target in targets if "://" not in target and not (page.parent / target.strip()).exists()
    ]
    assert not broken


def test_tables_are_those_of_the_results():
    script = REPOSITORY / "benchmarks/tables.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
