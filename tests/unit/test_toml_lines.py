"""The scanner finds the keys that tomllib finds, each on the line that it was written on."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sender.toml.lines import TomlKey, key_lines


def _keys(value: Any, key: TomlKey = ()) -> Iterator[TomlKey]:
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for part, child in children:
        yield (*key, part)
        yield from _keys(child, (*key, part))


MARKED = '''# 1
name = "spring"
"quoted \\"key\\"" = 1 # a comment with = and [brackets]
a . "b" . 'c' = 4

text = """
  not = "a key" """
literal = \'\'\'
[not.a.table]
\'\'\'
many = [ # 11
  "x", # 12
  ["]", { in = 13 }],

  # no value here
  \'#\',
]
when = 2026-12-01 20:00:00Z
empty = []
[table] # 20
where = { all = [ # 21
  { field = "postcode", starts_with = "N1" },
  { not = { attribute = "ward", in = [
     "A", # 24
     "B" ] } },
] }
[ other . deep ]
x = ""
[[list]]
y = """"two quotes""""
[list.inner]
z = 1
[[list]] # 33
y = \'\'
  [[list.more]]
  w = 36
'''


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_each_key_stands_where_it_was_written(ends: str) -> None:
    lines = key_lines(MARKED.replace("\n", ends))
    assert set(lines) == set(_keys(tomllib.loads(MARKED)))
    expected: dict[TomlKey, int] = {
        ("name",): 2,
        ('quoted "key"',): 3,
        ("a",): 4,
        ("a", "b", "c"): 4,
        ("text",): 6,
        ("literal",): 8,
        ("many",): 11,
        ("many", 0): 12,
        ("many", 1, 1, "in"): 13,
        ("many", 2): 16,
        ("when",): 18,
        ("empty",): 19,
        ("table",): 20,
        ("table", "where", "all"): 21,
        ("table", "where", "all", 0, "starts_with"): 22,
        ("table", "where", "all", 1, "not", "in"): 23,
        ("table", "where", "all", 1, "not", "in", 0): 24,
        ("table", "where", "all", 1, "not", "in", 1): 25,
        ("other",): 27,
        ("other", "deep"): 27,
        ("other", "deep", "x"): 28,
        ("list",): 29,
        ("list", 0): 29,
        ("list", 0, "y"): 30,
        ("list", 0, "inner"): 31,
        ("list", 0, "inner", "z"): 32,
        ("list", 1): 33,
        ("list", 1, "y"): 34,
        ("list", 1, "more", 0): 35,
        ("list", 1, "more", 0, "w"): 36,
    }
    assert {key: lines[key] for key in expected} == expected


tokens = st.sampled_from(
    [
        "a",
        "b.c",
        '"q"',
        "'l'",
        '"\\u00e9"',
        " = ",
        "=",
        "\n",
        "\n\n",
        "\r\n",
        "#x=1\n",
        " ",
        ",",
        "[",
        "]",
        "{",
        "}",
        "[a]\n",
        "[b.c]\n",
        "[[d]]\n",
        "[d.e]\n",
        "[[d.f]]\n",
        "1",
        "true",
        "2026-05-07 10:00:00",
        '""',
        '"#]"',
        "''",
        '"""\n"""',
        '"""a""b"""',
        "'''\n#''''",
        '""""x"""""',
        '"\\""',
        "a = 1\n",
        "b = [1, 2]\n",
        "c = {x.y = 1}\n",
    ]
)


@settings(max_examples=600)
@given(st.lists(tokens, max_size=14).map("".join))
def test_whatever_tomllib_accepts_is_scanned_alike(text: str) -> None:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(key_lines(text)) == set(_keys(document))


class _Writer:
    """Writes a document in one of its many spellings, and notes the line of each key."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[TomlKey, int] = {}

    def put(self, text: str) -> None:
        self.text += text

    def note(self, key: TomlKey) -> None:
        self.lines.setdefault(key, self.text.count("\n") + 1)

    def gap(self) -> None:
        self.put(self.draw(st.sampled_from(["", " ", "\n", " # ] } = 'x'\n", "\n\n\t"])))

    def name(self, part: str) -> None:
        quotes = self.draw(st.sampled_from(["", '"', "'"]))
        self.put(f"{quotes}{part}{quotes}")
        self.put(self.draw(st.sampled_from(["", " "])))

    def pair(self, key: TomlKey, value: Any) -> None:
        self.note(key)
        self.name(str(key[-1]))
        self.put("= ")
        self.value(key, value)

    def value(self, key: TomlKey, value: Any) -> None:
        if isinstance(value, dict):
            self.inline_table(key, value)
        elif isinstance(value, list):
            self.array(key, value)
        else:
            self.put(value)

    def inline_table(self, key: TomlKey, table: dict[str, Any]) -> None:
        self.put("{ ")
        for place, (part, value) in enumerate(table.items()):
            self.put(", " if place else "")
            self.pair((*key, part), value)
        self.put(" }")

    def array(self, key: TomlKey, items: list[Any]) -> None:
        self.put("[")
        for place, item in enumerate(items):
            self.gap()
            self.note((*key, place))
            self.value((*key, place), item)
            self.gap()
            self.put(",")
        self.gap()
        self.put("]")

    def section(self, part: str, table: dict[str, Any]) -> None:
        self.note((part,))
        self.put("[")
        self.name(part)
        self.put("]\n")
        for inner, value in table.items():
            self.gap()
            self.pair((part, inner), value)
            self.put("\n")


parts = st.sampled_from(["a", "b", "c", "key", "x-y", "7"])
scalars = st.sampled_from(
    [
        "1",
        "true",
        "1.5",
        '"s"',
        "'#'",
        '"]}"',
        '"""\n\n"""',
        "'''a\n]'''",
        '"""a\\\n  b"""',
        '"""\\""""',
        "2026-05-07T10:00:00Z",
        '""',
        "''",
        '"""x"""""',
    ]
)
trees: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(parts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[TomlKey, int]]:
    writer = _Writer(draw)
    top = draw(st.dictionaries(parts, trees, max_size=3))
    for part, value in top.items():
        writer.gap()
        writer.pair((part,), value)
        writer.put("\n")
    sections = draw(st.dictionaries(parts, st.dictionaries(parts, trees, max_size=3), max_size=3))
    for part, table in sections.items():
        if part not in top:
            writer.gap()
            writer.section(part, table)
    return writer.text, writer.lines


@settings(max_examples=200)
@given(documents())
def test_each_key_has_the_line_that_its_writer_noted(
    written: tuple[str, dict[TomlKey, int]],
) -> None:
    text, lines = written
    tomllib.loads(text)
    assert key_lines(text) == lines
