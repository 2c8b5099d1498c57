"""`nircolor leaks`: which images of one set does another show too?"""

import csv
import sys
import warnings
from dataclasses import astuple, fields
from pathlib import Path

from nircolor.app.console import WorkBar, errors, show_warnings
from nircolor.errors import NircolorError
from nircolor.pairs import open_set
from nircolor.pairs.leaks import Leak, Photograph, find_leaks, photographs, photographs_in, single_photographs
from nircolor.pairs.opened import Role


def run(first: str, second: str, *, same_scale: bool, table: Path | None) -> None:
    """Print each leak as a line of CSV, and how many there are.

    Raises:
        NircolorError: a set cannot be opened, or a image cannot be read.
        SystemExit: with code 1 where there are leaks.
    """
    with warnings.catch_warnings(), WorkBar() as bar:
        show_warnings()
        sides = _opened(first, "evaluated", table), _opened(second, "training", table)
        as_pairs = all(paired for paired, _ in sides)
        images, others = (paired if as_pairs else single for paired, single in sides)
        found = find_leaks(
            images,
            others,
            same_scale=same_scale,
            on_progress=lambda done, total: bar.update("comparing", done, total),
        )
    if found:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(field.name for field in fields(Leak))
        for leak in found:
            *words, correlation, scale = astuple(leak)
            writer.writerow([*words, f"{correlation:.3f}", f"{scale:.3f}"])
    errors.print(f"{len(found)} of {len(images)} images of {first} are among the {len(others)} of {second}")
    if found:
        sys.exit(1)


def _opened(text: str, role: Role, table: Path | None) -> tuple[list[Photograph], list[Photograph]]:
    """The images of a set as pairs and one by one; of a folder that is no set, one by one only."""
    try:
        opened = open_set(text, role, table=table)
    except NircolorError as error:
        if table is not None or not Path(text).is_dir():
            raise
        # images without partners can be compared as well
        single = photographs_in(Path(text))
        errors.print(f"{text}: taken for {len(single)} single images, since it is no set of pairs: {error}")
        return [], single
    return photographs(opened.pairs, opened.bands), single_photographs(opened.pairs)
