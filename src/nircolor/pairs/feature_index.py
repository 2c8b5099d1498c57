"""Search many images for those that have features in common with others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nircolor.pairs.features import Descriptors, Features, squared_distances

# descriptors per cell of the index, and number of cells that are searched for each descriptor
_PER_CELL, _PROBES = 500, 3
# descriptors from which the cells are made, and rounds of k-means
_SAMPLE, _ROUNDS = 60_000, 4
# neighbours of a descriptor that vote for their images, and maximum squared distance
_NEIGHBOURS, _MAX_SQUARED = 4, 0.5
# votes agree if they imply a similar turn and scale: 45 degrees, one octave
_TURN, _OCTAVES = 45.0, 1.0
# descriptors compared with the centres at once, which bounds the memory
_CHUNK = 5_000


class Candidate(NamedTuple):
    """An image with features in common.

    Attributes:
        votes: Number of features that imply a similar turn and scale.
        variant: Index of the features that have them in common.
        image: Index of the image.
    """

    votes: int
    variant: int
    image: int


class FeatureIndex:
    """Index of the features of many images.

    Descriptors are grouped into cells by k-means; a search looks in the nearest cells only.

    Args:
        images: Features of each image.
    """

    def __init__(self, images: Sequence[Features]) -> None:
        descriptors = np.concatenate([one.descriptors for one in images])
        image = np.repeat(np.arange(len(images), dtype=np.int32), [len(one.points) for one in images])
        self._centres = _k_means(descriptors, max(1, len(descriptors) // _PER_CELL))
        cells = _nearest(descriptors, self._centres, 1)[:, 0]
        order = np.argsort(cells, kind="stable")
        self._descriptors, self._image = descriptors[order], image[order]
        self._angles = np.concatenate([one.angles for one in images])[order]
        self._sizes = np.concatenate([one.log_sizes for one in images])[order]
        self._starts = np.searchsorted(cells[order], np.arange(len(self._centres) + 1))

    def search(self, images: Sequence[Sequence[Features]], count: int) -> list[list[Candidate]]:
        """Find the images with most features in common with each of some images.

        Args:
            images: Features of each image, and of modified versions of it.
            count: Maximum number of candidates per image.
        """
        sizes = [sum(len(one.points) for one in variants) for variants in images]
        if not len(self._descriptors) or not sum(sizes):
            return [[] for _ in images]
        row, found = self._neighbours(np.concatenate([one.descriptors for some in images for one in some]))
        ends = np.cumsum(sizes)
        candidates = []
        for variants, end, size in zip(images, ends, sizes, strict=True):
            own = slice(*np.searchsorted(row, [end - size, end]))
            candidates.append(self._voted(variants, row[own] - (end - size), found[own], count))
        return candidates

    def _voted(
        self, variants: Sequence[Features], row: NDArray[np.int64], found: NDArray[np.int64], count: int
    ) -> list[Candidate]:
        """Return the images that most neighbours of an image's features vote for."""
        if not len(row):
            return []
        variant = np.repeat(np.arange(len(variants)), [len(one.points) for one in variants])
        turns = (self._angles[found] - np.concatenate([one.angles for one in variants])[row]) / _TURN
        steps = (self._sizes[found] - np.concatenate([one.log_sizes for one in variants])[row]) / _OCTAVES
        turns_total = round(360 / _TURN)
        keys = []
        # overlapping bins, so that votes are not separated by a border
        for turn_shift in (0.0, 0.5):
            for step_shift in (0.0, 0.5):
                turn = np.floor(turns + turn_shift).astype(np.int64) % turns_total
                step = np.clip(np.floor(steps + step_shift).astype(np.int64) + 16, 0, 31)
                which = 2 * (turn_shift > 0) + (step_shift > 0)
                place = (variant[row] * (self._image.max() + 1) + self._image[found]).astype(np.int64)
                keys.append(((place * turns_total + turn) * 32 + step) * 4 + which)
        values, counts = np.unique(np.concatenate(keys), return_counts=True)
        ranked: dict[int, Candidate] = {}
        for place in np.argsort(-counts, kind="stable"):
            which_variant, image = divmod(
                int(values[place]) // (4 * 32 * turns_total), int(self._image.max()) + 1
            )
            # the best variant of each image
            ranked.setdefault(image, Candidate(int(counts[place]), which_variant, image))
            if len(ranked) == count:
                break
        return list(ranked.values())

    def _neighbours(self, queries: Descriptors) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return rows of queries and indices of descriptors near them."""
        cells = _nearest(queries, self._centres, _PROBES)
        rows = np.repeat(np.arange(len(queries)), cells.shape[1])
        order = np.argsort(cells.ravel(), kind="stable")
        bounds = np.searchsorted(cells.ravel()[order], np.arange(len(self._centres) + 1))
        found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
        for cell in range(len(self._centres)):
            members = slice(self._starts[cell], self._starts[cell + 1])
            row = rows[order[bounds[cell] : bounds[cell + 1]]]
            if not len(row) or members.start == members.stop:
                continue
            distances = squared_distances(queries[row], self._descriptors[members])
            k = min(_NEIGHBOURS, distances.shape[1])
            near = np.argpartition(distances, k - 1, axis=1)[:, :k]
            values = np.take_along_axis(distances, near, axis=1)
            kept = values < _MAX_SQUARED
            found.append((np.repeat(row, k)[kept.ravel()], near[kept] + members.start, values[kept]))
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        row, near, values = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.lexsort((values, row))
        row, near = row[order], near[order]
        rank = np.arange(len(row)) - np.searchsorted(row, row)
        return row[rank < _NEIGHBOURS], near[rank < _NEIGHBOURS]


def _k_means(descriptors: Descriptors, count: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    sample = descriptors[np.sort(rng.permutation(len(descriptors))[:_SAMPLE])].astype(np.float32)
    count = min(count, max(1, len(sample) // 20))
    centres = sample[rng.permutation(len(sample))[:count]]
    for _ in range(_ROUNDS if len(sample) else 0):
        nearest = _nearest(sample, centres, 1)[:, 0]
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        members = np.bincount(nearest, minlength=count)[:, None]
        centres = np.where(members > 0, sums / np.maximum(members, 1), centres).astype(np.float32)
    return centres


def _nearest(
    a: NDArray[np.float32] | Descriptors, centres: NDArray[np.float32], count: int
) -> NDArray[np.int64]:
    """Return the indices (n, count) of the nearest centres."""
    count = min(count, len(centres))
    found = np.zeros((len(a), count), np.int64)
    for start in range(0, len(a), _CHUNK):
        distances = squared_distances(a[start : start + _CHUNK], centres)
        found[start : start + _CHUNK] = (
            distances.argmin(axis=1)[:, None]
            if count == 1
            else np.argpartition(distances, count - 1, axis=1)[:, :count]
        )
    return found
