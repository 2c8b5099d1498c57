"""Paired sets of NIR and colour pictures: match, group, split, read."""

from nircolor.pairs.groups import split_by_group, with_groups
from nircolor.pairs.layouts import Pair, scene_pairs, vcip_pairs
from nircolor.pairs.reading import read_pair

__all__ = ["Pair", "read_pair", "scene_pairs", "split_by_group", "vcip_pairs", "with_groups"]
