"""Pages of the documentation site that are made during the build, and links that leave docs/.

MkDocs calls the ``on_…`` functions (``hooks`` in mkdocs.yml). They add one page per command, generated from
the definitions of the command line; the changelog, the contributor's guide and the list of recipes from where
they lie in the repository; and executed notebooks. Links to files that are not part of the site become links
to the repository.
"""

import logging
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert.exporters import MarkdownExporter

from nircolor.app.main import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

# file in the repository -> page of the site
ROOT_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "recipes/README.md": "recipes.md",
}
INCLUDED = {source: page for source, page in ROOT_PAGES.items() if page != "index.md"}

# command -> the guide that explains it
GUIDES = {
    "colorize": ("Colorize images", "guides/colorize.md"),
    "serve": ("Web page and HTTP API", "guides/web.md"),
    "info": ("Files and formats", "guides/files.md"),
    "models": ("Choose a model", "guides/models.md"),
    "evaluate": ("Evaluate a colorizer", "evaluation.md"),
    "leaks": ("Evaluate a colorizer", "evaluation.md"),
    "synthesize": ("Hyperspectral captures", "captures.md"),
    "train": ("Train", "training.md"),
    "export": ("Train", "training.md"),
}

log = logging.getLogger("mkdocs.hooks")


def on_config(config: MkDocsConfig) -> None:
    """Add the page of each command to the navigation, below "Commands"."""
    entry = next(item for item in config.nav if "Commands" in item)
    entry["Commands"] += [{name: f"commands/{name}.md"} for name in commands()]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the generated pages."""
    pages = {"commands/index.md": command_index()}
    pages |= {f"commands/{name}.md": command_page(name) for name in commands()}
    pages |= {page: (ROOT / source).read_text(encoding="utf-8") for source, page in INCLUDED.items()}
    for notebook in sorted(DOCS.glob("notebooks/*.ipynb")):
        page = notebook.relative_to(DOCS).with_suffix(".md").as_posix()
        pages[page], images = run_notebook(notebook)
        for name, content in images.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    for page, content in pages.items():
        files.append(File.generated(config, page, content=content))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Point links at pages of the site where there is one, and else at the repository."""
    sources = {target: source for source, target in INCLUDED.items()}
    source = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return site_links(markdown, source, page.file.src_uri, config.repo_url)


def site_links(markdown: str, source: str, page: str, repository: str) -> str:
    """Rewrite the relative links of a file for its place in the site.

    Args:
        markdown: the text.
        source: path of the file in the repository.
        page: path of the page below docs/.
        repository: address of the repository.

    Returns:
        The text with links between pages of the site, and absolute ones to other files of the repository.
    """

    def rewritten(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        if "://" in target or target.startswith(("mailto:", "#")):
            return found[0]
        path = Path(os.path.normpath(ROOT / Path(source).parent / target))
        name = path.relative_to(ROOT).as_posix()
        inside = ROOT_PAGES.get(name) or (name.removeprefix("docs/") if name.startswith("docs/") else None)
        if inside is None:
            kind = "tree" if path.is_dir() else "blob"
            return f"]({repository}/{kind}/main/{name}{anchor})"
        relative = PurePosixPath(os.path.relpath(inside, PurePosixPath(page).parent)).as_posix()
        return f"]({relative}{anchor})"

    return re.sub(r"\]\(([^)#\s]+)(#[^)\s]*)?\)", rewritten, markdown)


def commands() -> dict[str, Any]:
    """The commands of ``nircolor`` by name, hidden ones left out."""
    group = typer.main.get_command(app)
    found = {name: group.get_command(typer.Context(group), name) for name in group.list_commands(None)}
    return {name: command for name, command in found.items() if not command.hidden}


def command_index() -> str:
    """The page that lists all commands."""
    rows = [
        f"| [`nircolor {name}`]({name}.md) | {summary(command)} |" for name, command in commands().items()
    ]
    return "\n".join(
        [
            "# Commands",
            "",
            "`nircolor --help` lists the commands, `nircolor COMMAND --help` the options of one. "
            "These pages are generated from the same definitions.",
            "",
            "| command | |",
            "|---|---|",
            *rows,
            "",
            "Exit code 0 means success; 1 that some files of a batch failed (of `leaks`: that images are "
            "shared); 2 that nothing could be done. An error is one line; "
            "`nircolor --debug COMMAND …` shows the traceback.",
        ]
    )


def command_page(name: str) -> str:
    """The page of a command: help, usage, arguments and options."""
    command = commands()[name]
    context = typer.Context(command, info_name=f"nircolor {name}")
    usage = " ".join([f"nircolor {name}", "[OPTIONS]", *map(argument_name, arguments(command))])
    lines = [f"# nircolor {name}", "", *paragraphs(command.help), "", "```text", usage, "```", ""]
    for kind in ("argument", "option"):
        rows = [
            f"| {option_cell(parameter, record[0])} | {cell(record[1])} |"
            for parameter in command.params
            if parameter.param_type_name == kind
            and not getattr(parameter, "hidden", False)
            and (record := parameter.get_help_record(context)) is not None
        ]
        if rows:
            lines += [f"## {kind.capitalize()}s", "", f"| {kind} | |", "|---|---|", *rows, ""]
    if name in GUIDES:
        title, page = GUIDES[name]
        lines += [f"Guide: [{title}](../{page})", ""]
    return "\n".join(lines)


def arguments(command: Any) -> list[Any]:
    """The positional parameters of a command."""
    return [one for one in command.params if one.param_type_name == "argument"]


def argument_name(argument: Any) -> str:
    """``INPUT...``, in brackets where it is optional."""
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name}]"


def summary(command: Any) -> str:
    """The first sentence of a command's help."""
    return cell(re.split(r"(?<=\.)\s", plain(command.help), maxsplit=1)[0])


def paragraphs(text: str) -> list[str]:
    """The help text as Markdown; examples, which begin with ``nircolor``, become blocks of code."""
    lines: list[str] = []
    for part in re.split(r"\n\s*\n", plain(text)):
        rows = part.splitlines()
        if all(re.match(r"\s*(\$ )?nircolor ", row) for row in rows):
            lines += ["```sh", *(row.strip().removeprefix("$ ") for row in rows), "```", ""]
        else:
            lines += [*(row.replace("[", r"\[") for row in rows), ""]
    return lines


def plain(text: str | None) -> str:
    """Help text without Typer's marks: the verbatim mark and rich's markup."""
    return re.sub(r"\[/?(bold|italic|dim|cyan|green|yellow)\]", "", (text or "").replace("\b", "")).strip()


def option_cell(parameter: Any, text: str) -> str:
    """``--output, -o PATH`` or ``INPUT...`` as code."""
    if parameter.param_type_name == "argument":
        return f"`{argument_name(parameter).strip('[]')}`"
    return f"`{text.replace(' range>', '>')}`"


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return (
        plain(text)
        .replace("\n", " ")
        .replace("|", r"\|")
        .replace("*", r"\*")
        .replace("_", r"\_")
        .replace("[", r"\[")
    )


def run_notebook(path: Path) -> tuple[str, dict[str, bytes]]:
    """Execute a notebook and convert it.

    Args:
        path: the notebook.

    Returns:
        Its Markdown with outputs, and the images by name.

    Raises:
        PluginError: a cell raised an error.
    """
    notebook = nbformat.read(path, as_version=4)
    try:
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": path.parent}}).execute()
    except CellExecutionError as error:
        raise PluginError(f"{path}: {error}") from error
    exporter = MarkdownExporter()
    markdown, resources = exporter.from_notebook_node(
        notebook, {"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    )
    # printed text and the value of a cell come as two blocks far apart
    return re.sub(r"\n(\s*\n){2,}", "\n\n", markdown), resources["outputs"]
