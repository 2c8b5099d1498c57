"""What a paired set is."""

from abc import ABC, abstractmethod
from pathlib import Path

from nircolor.pairs.pair import Pair
from nircolor.pairs.table import with_table


class PairedSet(ABC):
    """Pairs on disk, as a recipe names them: ``class_path: nircolor.pairs.Folders`` with ``init_args``.

    Args:
        table: a CSV with a row for each pair: its name in ``pair``, and any of ``group`` (or
            ``scene_group``: the place that it shows), ``split`` (``train``, ``val`` or anything else, which
            stays out of training) and ``flag``. Further columns are ignored. Groups are shared by the
            sets of one table: a place may appear in several of them.
        dataset: the rows to use where the table has a column ``dataset``.
        drop_flagged: leave out pairs with flag = 1. In the Scene set these are doubtfully registered, in
            VCIP 2020 their place appears on the other side of training and validation too.
    """

    def __init__(self, table: Path | str | None, dataset: str | None, drop_flagged: bool) -> None:
        self.table = None if table is None else Path(table)
        self._dataset, self._drop_flagged = dataset, drop_flagged

    def pairs(self) -> list[Pair]:
        """All pairs, sorted by name.

        Raises:
            NircolorError: a folder is missing or holds no pairs, a image has no partner, or the table
                cannot be used or lacks a pair.
        """
        found = self._found()
        if self.table is None:
            return found
        return with_table(found, self.table, self._dataset, drop_flagged=self._drop_flagged)

    @abstractmethod
    def _found(self) -> list[Pair]:
        """The pairs that are on disk, sorted by name."""
