"""Paired sets of NIR and colour images: match, group, split, read."""

from nircolor.pairs.groups import split_pairs, write_splits
from nircolor.pairs.layouts import Folders, MultiBandFiles, Scenes, Vcip
from nircolor.pairs.opened import OpenedSet, open_set
from nircolor.pairs.pair import Pair
from nircolor.pairs.paired_set import PairedSet
from nircolor.pairs.reading import image_size, read_colour, read_nir, read_pair

__all__ = [
    "Folders",
    "MultiBandFiles",
    "OpenedSet",
    "Pair",
    "PairedSet",
    "Scenes",
    "Vcip",
    "image_size",
    "open_set",
    "read_colour",
    "read_nir",
    "read_pair",
    "split_pairs",
    "write_splits",
]
