import pytest

from nircolor.errors import NircolorError
from nircolor.pairs import Folders, Vcip
from tests.pairs.images import touch

SCENES = """dataset,pair,scene_group,split,flag
vcip2020,a,7,train,1
vcip2020,b,8,train,0
epfl,urban/1,7,train,0
epfl,urban/2,9,train,1
"""


@pytest.fixture
def pairs_with(tmp_path):
    """Return (name, group, split) of pairs of the given names in a set with the given table."""

    def pairs_of(names: str, content: str | bytes, **options):
        table = tmp_path / "table.csv"
        table.write_bytes(content if isinstance(content, bytes) else content.encode())
        touch(tmp_path, *(f"{side}/{name}.png" for side in ("nir", "rgb") for name in names.split()))
        paired = Folders(tmp_path / "nir", tmp_path / "rgb", table=table, **options)
        return [(pair.name, pair.group, pair.split) for pair in paired.pairs()]

    return pairs_of


def test_groups_and_splits_come_from_the_rows_of_the_pairs(pairs_with):
    table = "split,pair,weather,group\ntest,b,sun,x\nval,a,rain,y\ntrain,not here,,z\n"
    assert pairs_with("a b", table) == [("a", "y", "val"), ("b", "x", "test")]
    assert pairs_with("a b", "pair,split\nb,val\na,train\n") == [("a", None, "train"), ("b", None, "val")]
    assert pairs_with("a b", "pair,group\nb,1\na,1\n") == [("a", "1", None), ("b", "1", None)]


def test_rows_of_the_given_dataset_are_used(pairs_with):
    assert pairs_with("a b", SCENES, dataset="vcip2020") == [("a", "7", "train"), ("b", "8", "train")]


def test_a_table_of_several_datasets_needs_the_name_of_one(pairs_with):
    with pytest.raises(NircolorError, match=r"table\.csv: expected the name of a dataset"):
        pairs_with("a b", SCENES)
    # a table of one set needs no such column
    assert pairs_with("a b", "pair,group\na,1\nb,1\n", dataset="epfl") == [("a", "1", None), ("b", "1", None)]


def test_flagged_pairs_are_dropped_only_when_asked(pairs_with):
    assert len(pairs_with("urban/1 urban/2", SCENES, dataset="epfl")) == 2
    assert pairs_with("urban/1 urban/2", SCENES, dataset="epfl", drop_flagged=True) == [
        ("urban/1", "7", "train")
    ]
    with pytest.raises(NircolorError, match=r"table\.csv: expected a column flag"):
        pairs_with("urban/1", "pair,group\nurban/1,1\n", drop_flagged=True)


def test_a_pair_without_a_row_is_an_error(pairs_with):
    # `a` has a row, but of the other set
    with pytest.raises(NircolorError, match=r"table\.csv: expected a row for each pair, got none for a, z$"):
        pairs_with("urban/1 a z", SCENES, dataset="epfl")


def test_two_rows_for_a_pair_are_an_error(pairs_with):
    with pytest.raises(NircolorError, match=r"table\.csv: expected one row per pair, got two for a$"):
        pairs_with("a", "pair,split\na,train\nb,val\na,val\n")


def test_an_empty_cell_changes_nothing(pairs_with, tmp_path):
    assert pairs_with("a b", "pair,group,split\na,,\nb,1\n") == [("a", None, None), ("b", "1", None)]
    # the folders of VCIP determine the split
    touch(tmp_path, "Validation/a_nir.png", "Validation/a_rgb_reg.png")
    (pair,) = Vcip(tmp_path, "validation", table=tmp_path / "table.csv").pairs()
    assert pair.split == "validation"


def test_a_byte_order_mark_is_not_part_of_the_name(pairs_with):
    assert pairs_with("a", b"\xef\xbb\xbfpair,group\r\na,1\r\n") == [("a", "1", None)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a column pair and one of group, scene_group, split, flag, got none"),
        (b"dataset,scene,group\n", "expected a column pair .*, got dataset, group, scene"),
        (b"pair,place\na,1\n", "expected a column pair .*, got pair, place"),
        (b"\xff\xfe\x00", "expected a CSV of pairs"),
    ],
)
def test_a_table_without_the_columns_is_an_error(pairs_with, content, message):
    with pytest.raises(NircolorError, match=rf"table\.csv: {message}"):
        pairs_with("a", content)


def test_an_absent_table_is_an_error(pairs_with, tmp_path):
    pairs_with("a", "pair,group\na,1\n")
    with pytest.raises(NircolorError, match=r"absent\.csv: expected a CSV of pairs: No such file"):
        Folders(tmp_path / "nir", tmp_path / "rgb", table=tmp_path / "absent.csv").pairs()


def test_columns_with_line_breaks_are_listed_in_one_line(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text('pair,"a\nb",c\n')
    pairs = tmp_path / "pairs"
    for folder in ("nir", "rgb"):
        (pairs / folder).mkdir(parents=True)
        (pairs / folder / "a.png").write_bytes(b"")
    with pytest.raises(NircolorError, match=r"got a b, c, pair$"):
        Folders(pairs / "nir", pairs / "rgb", table=table).pairs()
