"""Paired data sets of NIR and colour images: find, split and read pairs, and detect leaks between sets.

A set is a `PairedSet`, such as `Folders`; `open_set` recognizes the layout of a folder. A `Pair` holds paths;
`read_pair` reads its pixels:

    for pair in Folders("pairs/nir", "pairs/rgb").pairs():
        nir, rgb, valid = read_pair(pair)       # (bands, h, w), (3, h, w), (h, w)
"""

from typing import TYPE_CHECKING, Any

from nircolor.pairs.layouts import Folders, MultiBandFiles, Scenes, Vcip
from nircolor.pairs.opened_set import OpenedSet, open_set
from nircolor.pairs.pair import Pair, read_colour, read_nir, read_pair
from nircolor.pairs.paired_set import PairedSet
from nircolor.pairs.splits import split_pairs, write_splits

if TYPE_CHECKING:
    from nircolor.pairs.leaks import Leak, LeakCheck, find_leaks

__all__ = [
    "Folders",
    "Leak",
    "LeakCheck",
    "MultiBandFiles",
    "OpenedSet",
    "Pair",
    "PairedSet",
    "Scenes",
    "Vcip",
    "find_leaks",
    "open_set",
    "read_colour",
    "read_nir",
    "read_pair",
    "split_pairs",
    "write_splits",
]


def __getattr__(name: str) -> Any:
    # training reads pairs without the packages that `leaks` needs (extra `evaluate`)
    if name in ("Leak", "LeakCheck", "find_leaks"):
        from nircolor.pairs import leaks

        return getattr(leaks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
