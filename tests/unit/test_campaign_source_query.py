"""The query of an audience source is one reading statement, whatever its quotes and comments."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.campaigns.source_query import check_query

PATH = Path("people.sql")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT email FROM people",
        "select email from people;",
        "  -- who\n/* they are */ SELECT 1 ; -- end\n",
        "WITH recent AS (SELECT * FROM gifts) SELECT email FROM recent",
        "SELECT 'it''s; DELETE FROM x', \"update\", `drop` FROM people",
        "SELECT $$; delete from x$$, $a$ ; $$ drop $a$ FROM people",
        "SELECT replace(name, 'a', 'b'), updated_at, p.delete, last_update FROM p",
        "SELECT E'tab\\t' FROM people WHERE a::text = 'x' AND b ->> 'c' = 'd'",
        "SELECT substring(name for 3) FROM people",
        "SELECT email FROM people WHERE note = '/* not a comment' OR note = '*/'",
        "SELECT 1 -- it's fine",
        "SELECT a$b$c, a$b$d FROM people",
    ],
)
def test_reading_queries_pass(sql: str) -> None:
    assert check_query(sql, path=PATH) is None


@pytest.mark.parametrize(
    ("sql", "line", "words"),
    [
        ("", 1, "no statement"),
        (" -- nothing\n;", 1, "no statement"),
        ("DELETE FROM people", 1, "does not begin"),
        ("\n\nVALUES (1)", 3, "does not begin"),
        ("(SELECT 1)", 1, "does not begin"),
        ("EXPLAIN ANALYZE DELETE FROM people", 1, "does not begin"),
        ("SELECT 1;\nSELECT 2", 1, "more than one"),
        ("SELECT 1;;", 1, "more than one"),
        ("SELECT 1; -- x\n DROP TABLE people", 1, "more than one"),
        ("WITH gone AS (DELETE FROM people RETURNING *)\nSELECT * FROM gone", 1, "DELETE"),
        ("WITH x AS (SELECT 1)\nINSERT INTO people SELECT * FROM x", 2, "INSERT"),
        ("WITH x AS (SELECT 1) UPDATE people SET a = 1", 1, "UPDATE"),
        ("WITH x AS (SELECT 1) REPLACE INTO people SELECT 1", 1, "REPLACE"),
        ("SELECT * INTO copy FROM people", 1, "INTO"),
        ("SELECT * FROM people\nFOR UPDATE", 2, "UPDATE"),
        ("SELECT * FROM people FOR SHARE", 1, "SHARE"),
        ("SELECT * FROM people FOR NO KEY UPDATE", 1, "NO"),
        ("SELECT '' ; /* */ DELETE FROM people", 1, "more than one"),
        ("SELECT /* /* */ 1 */ FROM people", 1, "nested"),
        ("SELECT /*! 1; DROP TABLE people */ 1", 1, "executable"),
        ("SELECT 'a\\'; DELETE FROM people; --'", 1, "backslash"),
        ("SELECT 1 # ' \n; DROP TABLE people", 1, "#"),
        ("SELECT 'never closed", 1, "never closed"),
        ('SELECT "never closed', 1, "never closed"),
        ("SELECT 1 /* never closed", 1, "never closed"),
        ("SELECT 'a' 'never closed", 1, "never closed"),
        ("SELECT $a$ never closed $$ ", 1, "never closed"),
        ("SELECT $$ never closed", 1, "never closed"),
    ],
)
def test_everything_else_is_refused_on_its_line(sql: str, line: int, words: str) -> None:
    error = check_query(sql, path=PATH)
    assert error is not None
    assert words in error.problem
    assert (error.path, error.line) == (PATH, line)
    assert error.remedy


quoted = st.text(st.sampled_from("ab;* \n-/"), max_size=8)
harmless = st.one_of(
    quoted.map(lambda text: f"'{text}'"),
    quoted.map(lambda text: f'"{text}"'),
    quoted.map(lambda text: f"--{text.replace(chr(10), '')}\n"),
    quoted.filter(lambda text: "*/" not in text and "/*" not in text).map(
        lambda text: f"/* {text} */"
    ),
    st.sampled_from([" a ", " , ", " 1 ", "\n"]),
)


@given(st.lists(harmless, max_size=6), st.lists(harmless, max_size=6))
def test_a_second_statement_is_found_behind_any_quotes(before: list[str], after: list[str]) -> None:
    sql = "SELECT 1 " + " ".join(before)
    assert check_query(sql, path=PATH) is None
    error = check_query(sql + " ; DELETE FROM people " + " ".join(after), path=PATH)
    assert error is not None
