from hypothesis import given
from hypothesis import strategies as st

from analyzer.cli.table import Column, as_given, fit, number

NAMES = ("a-long-name-of-a-pod", "b-name")


def lines_of(table):
    return [table.heading, *table.lines]


@given(
    rows=st.lists(
        st.tuples(
            st.text(max_size=60),
            st.integers(0, 10**9),
            st.none() | st.text(max_size=30),
            st.lists(st.text(max_size=9), max_size=4),
        ),
        max_size=5,
    ),
    width=st.integers(20, 200),
)
def test_no_line_is_longer_than_the_terminal(rows, width):
    columns = [Column(name) for name in ("name", "frames", "remark", "ports")]
    table = fit(columns, rows, width, narrowing=["remark"])
    assert all(len(line) <= width for line in lines_of(table))
    assert len(table.lines) == len(rows)


def test_numbers_stand_to_the_right():
    table = fit([Column("pod"), Column("port")], [("x", 80), ("y", 8080)], 80)
    assert lines_of(table) == ["POD  PORT", "x      80", "y    8080"]


def test_plain_integers_have_no_separators_because_ports_have_none():
    assert fit([Column("port")], [(30080,)], 80).lines == ["30080"]


def test_what_is_not_known_is_a_dash():
    columns = [Column("node"), number("packets", str)]
    assert fit(columns, [(None, None)], 80).lines == ["-           -"]


def test_cells_take_their_longest_form_that_fits():
    forms = [("10.1.79.75:80 nginx", "nginx:80"), ("10.0.0.1:80",)]
    columns = [Column("responder", as_given), Column("state")]
    rows = list(zip(forms, ("open", "open"), strict=True))
    wide = fit(columns, rows, 40, narrowing=["responder"])
    assert wide.lines[0].startswith("10.1.79.75:80 nginx  open")
    narrow = fit(columns, rows, 20, narrowing=["responder"])
    assert narrow.lines == ["nginx:80     open", "10.0.0.1:80  open"]


def test_columns_are_left_out_in_the_order_given_and_named():
    columns = [Column(name) for name in ("aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc")]
    table = fit(columns, [("1", "2", "3")], 22, narrowing=["bbbbbbbbbb"])
    assert table.heading == "AAAAAAAAAA  CCCCCCCCCC"
    assert table.left_out == ["bbbbbbbbbb"]


def test_an_essential_column_stays():
    columns = [Column("proto", is_essential=True), Column("bytes")]
    table = fit(columns, [("tcp", 1)], 8, narrowing=["proto", "bytes"])
    assert table.heading == "PROTO"


def test_the_middle_of_a_long_name_gives_way():
    columns = [Column("pod"), Column("frames")]
    table = fit(columns, [("nginx-deployment-6nw9w-x7k2p", 12)], 24)
    assert table.lines == ["nginx-de…w-x7k2p      12"]


def test_control_characters_from_a_file_are_escaped():
    assert fit([Column("name")], [("\x1b[2J",)], 80).lines == [r"\x1b[2J"]
