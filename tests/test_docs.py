"""Tests of README and docs: links, anchors, tables, Python blocks, commands, and the built site."""

import importlib
import itertools
import os
import re
import shlex
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import rasterio
import typer

import nircolor
from nircolor.app.main import app

REPOSITORY = Path(__file__).parents[1]
PAGES = sorted(
    page
    for pattern in (
        "*.md",
        ".github/**/*.md",
        "docs/**/*.md",
        "recipes/*.md",
        "results/**/*.md",
        "benchmarks/**/*.md",
    )
    for page in REPOSITORY.glob(pattern)
)
PUBLIC_MODULES = (
    "nircolor",
    "nircolor.imagery",
    "nircolor.modelfile",
    "nircolor.spectral",
    "nircolor.metrics",
    "nircolor.pairs",
    "nircolor.losses",
    "nircolor.models",
    "nircolor.training",
    "nircolor.inference",
    "nircolor.evaluation",
)
# tags and attributes whose addresses a browser fetches when it opens a page
FETCHED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("link", "href")}

by_path = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


def text_of(page):
    """The page without blocks of code, in which brackets and hashes mean other things."""
    return re.sub(r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def blocks(page, language):
    """The blocks of code in one language, and for each the HTML comment in the line above or ''."""
    pattern = rf"(?:^<!-- (.*?) -->\n+)?^( *)```{language}\n(.*?)^\2```"
    found = re.finditer(pattern, page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [(one[1] or "", re.sub(rf"^{one[2]}", "", one[3], flags=re.MULTILINE)) for one in found]


def anchors_of(page):
    """Names that links into a page may use, as GitHub and MkDocs form them from headings."""
    headings = re.findall(r"^#+ +(.*?)\s*$", text_of(page), flags=re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).strip() for heading in headings]
    return {re.sub(r" ", "-", heading) for heading in plain}


def is_left_out(target):
    """Whether the source distribution, in which the tests run as well, leaves this file of a report out."""
    return target.startswith("per_image.") and not (REPOSITORY / ".git").exists()


@by_path
def test_links_and_anchors_resolve(page):
    broken = []
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text_of(page)):
        # generated during the build; the strict build checks links to them
        if (
            "://" in target
            or target.startswith("mailto:")
            or "commands/" in target
            or "/api/" in f"/{target}"
        ):
            continue
        path = page.parent / target if target else page
        if is_left_out(target):
            continue
        # notebooks and files of the repository's root are pages of the site under names of their own
        if not path.exists() and path.with_suffix(".ipynb").exists():
            continue
        if not path.exists() or (anchor and anchor not in anchors_of(path)):
            broken.append(f"{target}#{anchor}")
    assert not broken


@by_path
def test_blocks_in_lists_are_indented_by_four_spaces(page):
    """Python-Markdown, which makes the site, ends a list at a block that is indented by less."""
    assert not re.findall(
        r"^ {1,3}(?:```|[-*] |\d+\. ).*", page.read_text(encoding="utf-8"), flags=re.MULTILINE
    )


@by_path
def test_images_exist_and_have_a_text_alternative(page):
    text = text_of(page)
    images = re.findall(r"!\[(.*?)\]\((\S+?)\)", text)
    for tag in re.findall(r"<img[^>]*>", text):
        source, alternative = re.search(r'src="(.*?)"', tag), re.search(r'alt="(.*?)"', tag)
        assert source, tag
        images.append((alternative[1] if alternative else "", source[1]))
    for alternative, source in images:
        assert is_left_out(source) or (page.parent / source).exists(), source
        assert alternative, source


def test_tables_are_those_of_the_results():
    script = REPOSITORY / "benchmarks/tables.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


COMMANDS = [
    pytest.param(line, id=f"{page.relative_to(REPOSITORY)}: {line[:60]}")
    for page in PAGES
    for _, block in blocks(page, "sh")
    for line in re.sub(r"\\\n", " ", block).splitlines()
    if re.match(r"\s*nircolor ", line)
]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_in_shell_blocks_exist_with_their_options(line):
    words = shlex.split(line.replace("$(", "("), comments=True)[1:]
    group = typer.main.get_command(app)
    words = [word for word in words if word not in ("--debug", "…")]
    if words[0] in ("--help", "--version", "--install-completion", "--show-completion", "COMMAND"):
        return
    command = group.get_command(typer.Context(group), words[0])
    assert command is not None, words[0]
    if words[0] == "train":
        recipes = [value for option, value in itertools.pairwise(words) if option == "--config"]
        assert all((REPOSITORY / recipe).exists() for recipe in recipes if recipe.startswith("recipes/"))
        return
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    used = {word.split("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
    assert used <= known


@pytest.fixture
def user_folder(tmp_path, monkeypatch):
    """A working directory with the files that the examples name."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)

    def write(path, bands, wavelengths_nm=(), driver="PNG"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        smooth = random.uniform(40, 200, (bands, 1, 1)) + 30 * np.sin(np.arange(64) / random.uniform(3, 9))
        pixels = np.broadcast_to(smooth, (bands, 64, 64)) + random.uniform(0, 20, (bands, 64, 64))
        profile = {"driver": driver, "width": 64, "height": 64, "count": bands, "dtype": "uint8"}
        with rasterio.open(path, "w", **profile) as file:
            file.write(pixels.astype("uint8"))
            for number, nm in enumerate(wavelengths_nm, 1):
                file.update_tags(number, ns="IMAGERY", CENTRAL_WAVELENGTH_UM=nm / 1000)

    write("night.png", 1)
    for number in range(3):
        write(f"my_images/{number}.png", 1)
        write(f"pairs/nir/{number}.png", 1)
        write(f"pairs/rgb/{number}.png", 3)
        write(f"vcip2020/NIR/field_{number}_nir.png", 1)
        write(f"vcip2020/RGB-Registered/field_{number}_rgb_reg.png", 3)
        write(f"vcip2020/Validation/validation_{number}_nir.png", 1)
        write(f"vcip2020/Validation/validation_{number}_rgb_reg.png", 3)
    write("tile.tif", 3, (783, 842, 945), driver="GTiff")
    return tmp_path


SCRIPTS = [page for page in PAGES if blocks(page, "python")]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.usefixtures("user_folder")
@pytest.mark.parametrize("page", SCRIPTS, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_python_blocks_run(page):
    """All blocks of a page run in order; one that cannot says why: ``<!-- not run: reason -->`` above it."""
    names = {"__name__": "__main__", "np": np}
    for comment, block in blocks(page, "python"):
        if not comment.startswith("not run: "):
            exec(compile(block, str(page), "exec"), names)


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site, built with warnings as errors."""
    pytest.importorskip("mkdocs", reason="needs nircolor[docs]")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=REPOSITORY,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(REPOSITORY / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_public_name_is_in_the_api_reference(site):
    inventory = (site / "objects.inv").read_bytes()
    entries = zlib.decompress(inventory[inventory.index(b"zlib.\n") + 6 :]).decode().splitlines()
    documented = {entry.split()[0] for entry in entries}
    missing = []
    for name in PUBLIC_MODULES:
        module = importlib.import_module(name)
        for member in getattr(module, "__all__", ()):
            # a module has a page of its own
            if f"{name}.{member}" not in PUBLIC_MODULES and member != "__version__":
                missing += [f"{name}.{member}"] * (f"{name}.{member}" not in documented)
    assert not missing


def test_each_command_has_a_page_with_all_its_options(site):
    group = typer.main.get_command(app)
    for name in group.list_commands(None):
        page = (site / f"commands/{name}/index.html").read_text(encoding="utf-8")
        assert f'href="{name}/"' in (site / "commands/index.html").read_text(encoding="utf-8")
        command = group.get_command(typer.Context(group), name)
        for parameter in command.params:
            assert all(option in page for option in parameter.opts if option.startswith("-"))


def test_pages_fetch_nothing_from_other_hosts(site):
    fetched = []

    class Addresses(HTMLParser):
        def handle_starttag(self, tag, attributes):
            values = dict(attributes)
            # canonical and navigation links are not fetched
            if tag == "link" and values.get("rel") in ("canonical", "prev", "next", "edit"):
                return
            fetched.extend(
                value
                for name, value in attributes
                if (tag, name) in FETCHED and re.match(r"(https?:)?//", value or "")
            )

    for page in site.rglob("*.html"):
        Addresses().feed(page.read_text(encoding="utf-8"))
    for sheet in site.rglob("*.css"):
        fetched += re.findall(r"url\(['\"]?(https?:[^)]*)", sheet.read_text(encoding="utf-8"))
    assert not fetched


def test_the_version_is_the_package_s():
    citation = (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == nircolor.__version__


def test_figures_can_be_drawn_again(tmp_path):
    script = REPOSITORY / "docs/scripts/figures.py"
    done = subprocess.run(
        [sys.executable, script, "-o", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        path.name for path in (REPOSITORY / "docs/images").iterdir()
    }


def test_the_architecture_page_names_existing_files_and_every_package():
    page = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
    package = REPOSITORY / "src/nircolor"
    named = set(re.findall(r"`((?:\w+/)*\w+(?:/|\.py))`", page))
    roots = (package, REPOSITORY, package.parent)
    assert {name for name in named if not any((root / name).exists() for root in roots)} == set()
    present = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    present |= {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    assert present <= named
