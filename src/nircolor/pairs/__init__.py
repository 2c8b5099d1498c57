"""Paired sets of NIR and colour pictures: match, group, split, read."""

from nircolor.pairs.groups import split_pairs, write_splits
from nircolor.pairs.layouts import Folders, MultiBandFiles, Scenes, Vcip
from nircolor.pairs.pair import Pair
from nircolor.pairs.paired_set import PairedSet
from nircolor.pairs.reading import picture_size, read_pair

__all__ = [
    "Folders",
    "MultiBandFiles",
    "Pair",
    "PairedSet",
    "Scenes",
    "Vcip",
    "picture_size",
    "read_pair",
    "split_pairs",
    "write_splits",
]
