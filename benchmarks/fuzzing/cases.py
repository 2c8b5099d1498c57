"""Mutated inputs: case `index` is a function of the run's seed, its index and the seeds alone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from fuzzing.mutations import mutate_bytes, splice
from fuzzing.seed import Seed
from fuzzing.seeds import mutation_for

# names that end a line, colour a terminal, or are not UTF-8; `a` is what the files of a seed are called
_STEMS = ("a b", "a\nb", "\x1b[31ma", "a%20#1", "近赤外", "a\udcff", "-a", "{a}", "[bold]a[/bold]", "a\u202e")
# what a file may be instead of a plain file
_SPECIALS = ("folder", "pipe", "link to itself", "link to nothing", "link to another", "missing")


@dataclass
class Case:
    """A mutated input.

    Attributes:
        seed: The seed that was mutated.
        index: Number of the case in the run.
        entry: Path of the file to open, below the folder of the case.
        files: Content of each file.
        specials: Kind of each entry that is no plain file, of `_SPECIALS`.
        mutations: Names of the mutations, in order.
        rng: Generator for the options with which the case is run.
    """

    seed: Seed
    index: int
    entry: str
    files: dict[str, bytes]
    rng: Random
    specials: dict[str, str] = field(default_factory=dict)
    mutations: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> Path:
        """Write the files into an empty folder and return the path of the entry."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            special = self.specials.get(name)
            if special is None:
                path.write_bytes(content)
            elif special == "folder":
                path.mkdir()
            elif special == "pipe":
                os.mkfifo(path)
            elif special.startswith("link"):
                target = {"link to itself": path.name, "link to nothing": "nothing"}.get(special)
                path.symlink_to(target or Path(next(iter(self.files))).name)
        return folder / self.entry


def make_case(seeds: Sequence[Seed], run_seed: int, index: int) -> Case:
    """Choose a kind, a seed of it and mutations, and apply them."""
    rng = Random(f"{run_seed}:{index}")
    kinds = sorted({seed.kind for seed in seeds})
    kind = rng.choices(kinds, [_WEIGHTS.get(kind, 1.0) for kind in kinds])[0]
    seed = rng.choice([one for one in seeds if one.kind == kind])
    case = Case(seed, index, seed.entry, dict(seed.files), rng)
    for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 3, 5))):
        _mutate(rng, case, seeds)
    if rng.random() < 0.02:
        _rename(rng, case)
    return case


_WEIGHTS = {
    "tiff": 3.0,
    "png": 2.0,
    "jpeg": 2.0,
    "envi": 2.0,
    "sidecars": 3.0,
    "pairs": 0.5,
    "manifests": 0.3,
}


def _mutate(rng: Random, case: Case, seeds: Sequence[Seed]) -> None:
    names = sorted(case.files)
    name = case.entry if case.entry in case.files and rng.random() < 0.6 else rng.choice(names)
    data = case.files[name]
    chance = rng.random()
    if chance < 0.9:
        mutation = rng.choice(mutation_for(name))
        case.files[name] = mutation(rng, data)
        case.mutations.append(f"{name}: {mutation.__name__}")
    elif chance < 0.95:
        same = [one for one in seeds if one.kind == case.seed.kind]
        other = rng.choice(same if rng.random() < 0.7 else list(seeds))
        content = rng.choice([other.files[key] for key in sorted(other.files)])
        case.files[name] = splice(rng, data, content) if rng.random() < 0.7 else content
        case.mutations.append(f"{name}: part of {other.kind} {other.name}")
    elif chance < 0.98:
        special = rng.choice(_SPECIALS)
        # reading a pipe waits for its writer: right for a table (`<(command)`), wrong for an image
        waits = special == "pipe" and case.seed.target not in ("image", "capture", "model")
        case.specials[name] = "missing" if waits else special
        case.mutations.append(f"{name}: {case.specials[name]}")
    else:
        case.files[name] = mutate_bytes(rng, data[:64])
        case.mutations.append(f"{name}: beginning only")


def _rename(rng: Random, case: Case) -> None:
    """Give the files of the case, which are all called `a`, another name."""
    if case.seed.entry[:2] != "a.":
        return
    stem = rng.choice(_STEMS)
    renamed = {name: f"{stem}{name[1:]}" if name[:1] == "a" else name for name in case.files}
    case.files = {renamed[name]: content for name, content in case.files.items()}
    case.specials = {renamed[name]: special for name, special in case.specials.items()}
    case.entry = renamed[case.entry]
    case.mutations.append(f"called {stem!r}")
