"""The filter language: what may be written, what it means for one contact, what is refused."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.contacts.filter import (
    AllOf,
    Attribute,
    Comparison,
    Field,
    Filter,
    Has,
    Not,
    Operator,
    attribute_names,
    matches,
    nearest,
    unknown_attributes,
)
from sender.contacts.filter_language import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_VALUES,
    FilterError,
    parse_filter,
)
from sender.contacts.filter_literals import FilterProblem

CREATED = datetime(2026, 5, 7, 12, tzinfo=UTC)
FIELDS = {"postcode": "N1 2AB", "title": None, "source": "direct", "created_at": CREATED}
ATTRIBUTES = {
    "ward": "Abbey",
    "age": 40,
    "score": 0.1,
    "member": True,
    "born": "1986-05-07",
    "street": None,
    "code": "40",
    "tags": ["a"],
}


def holds(value: Mapping[str, Any]) -> bool:
    return matches(parse_filter(value), FIELDS, ATTRIBUTES)


def problems_of(value: object) -> tuple[FilterProblem, ...]:
    with pytest.raises(FilterError) as caught:
        parse_filter(value)
    return caught.value.problems


@pytest.mark.parametrize(
    "condition",
    [
        {"field": "postcode", "starts_with": "N1"},
        {"field": "postcode", "equals": "N1 2AB"},
        {"field": "postcode", "in": ["N1", "N1 2AB"]},
        {"field": "postcode", "more_than": "N1"},
        {"field": "title", "has": False},
        {"field": "source", "in": ["direct", "casework"]},
        {"field": "created_at", "at_least": CREATED},
        {"field": "created_at", "at_most": CREATED.date()},
        {"field": "created_at", "less_than": CREATED + timedelta(microseconds=1)},
        {"attribute": "ward", "equals": "Abbey"},
        {"attribute": "ward", "has": True},
        {"attribute": "street", "has": False},
        {"attribute": "missing", "has": False},
        {"attribute": "tags", "has": True},
        {"attribute": "age", "equals": 40.0},
        {"attribute": "age", "at_least": 40},
        {"attribute": "age", "less_than": 40.5},
        {"attribute": "score", "equals": 0.1},
        {"attribute": "score", "in": [1, 0.1]},
        {"attribute": "member", "equals": True},
        {"attribute": "born", "at_most": date(1986, 5, 7)},
        {"attribute": "born", "in": [date(1986, 5, 7)]},
        {"all": [{"attribute": "age", "more_than": 39}, {"attribute": "age", "at_most": 40}]},
        {"any": [{"attribute": "age", "equals": 1}, {"attribute": "member", "equals": True}]},
        {"not": {"attribute": "ward", "equals": "abbey"}},
        {"not": {"attribute": "missing", "equals": "Abbey"}},
        {"not": {"attribute": "age", "equals": "40"}},
        {"not": {"attribute": "code", "equals": 40}},
        {"not": {"attribute": "member", "equals": 1}},
        {"not": {"attribute": "age", "equals": True}},
        {"not": {"attribute": "ward", "less_than": date(2026, 5, 7)}},
        {"not": {"attribute": "street", "less_than": "z"}},
        {"not": {"attribute": "tags", "starts_with": "a"}},
    ],
)
def test_conditions_that_hold(condition: Mapping[str, Any]) -> None:
    assert holds(condition)
    assert not holds({"not": condition})


def test_a_number_that_is_not_finite_never_compares() -> None:
    condition = parse_filter({"attribute": "x", "less_than": 1})
    assert not matches(condition, {}, {"x": float("nan")})
    assert not matches(condition, {}, {"x": float("-inf")})


def test_what_is_parsed_is_a_plain_tree() -> None:
    zone = timezone(timedelta(hours=1))
    assert parse_filter(
        {
            "all": [
                {"attribute": "age", "more_than": 18.50},
                {"field": "created_at", "at_least": datetime(2026, 5, 7, 1, tzinfo=zone)},
                {"not": {"attribute": "ward", "has": True}},
            ]
        }
    ) == AllOf(
        (
            Comparison(Attribute("age"), Operator.MORE_THAN, Decimal("18.5")),
            Comparison(Field("created_at"), Operator.AT_LEAST, datetime(2026, 5, 7, tzinfo=UTC)),
            Not(Has(Attribute("ward"), present=True)),
        )
    )


NAIVE = datetime(2026, 5, 7, 9)  # noqa: DTZ001 - what TOML gives for a time without offset


@pytest.mark.parametrize(
    ("value", "key", "words"),
    [
        ([], (), "must be a table"),
        ({}, (), "either `field` or `attribute`"),
        ({"attribute": "ward"}, (), "needs one of"),
        ({"attribute": "ward", "field": "title", "has": True}, (), "either"),
        ({"attribute": "ward", "equals": 1, "less_than": 2}, (), "this has 2"),
        ({"attribute": "ward", "equal": "A"}, ("equal",), "unknown"),
        ({"attribute": 'w"ard', "equals": "A"}, ("attribute",), "letters"),
        ({"attribute": "Straße", "equals": "A"}, ("attribute",), "letters"),
        ({"attribute": "", "equals": "A"}, ("attribute",), "letters"),
        ({"attribute": 1, "equals": "A"}, ("attribute",), "letters"),
        ({"field": "email", "equals": "A"}, ("field",), "not a field"),
        ({"field": ["title"], "equals": "A"}, ("field",), "not a field"),
        ({"field": "title", "equals": 1}, ("equals",), "is text"),
        ({"field": "title", "equals": True}, ("equals",), "is text"),
        ({"field": "source", "equals": "bought"}, ("equals",), "casework"),
        ({"field": "source", "in": ["direct", "bought"]}, ("in", 1), "casework"),
        ({"field": "created_at", "equals": date(2026, 5, 7)}, ("equals",), "is a time"),
        ({"field": "created_at", "in": [date(2026, 5, 7)]}, ("in",), "is a time"),
        ({"field": "created_at", "starts_with": "2026"}, ("starts_with",), "is a time"),
        ({"field": "created_at", "less_than": "2026"}, ("less_than",), "is a time"),
        ({"field": "created_at", "less_than": NAIVE}, ("less_than",), "no offset"),
        ({"field": "created_at", "at_most": date(9999, 12, 31)}, ("at_most",), "year"),
        ({"attribute": "x", "equals": NAIVE}, ("equals",), "must be text, a number"),
        ({"attribute": "x", "equals": {}}, ("equals",), "must be text, a number"),
        ({"attribute": "x", "equals": float("nan")}, ("equals",), "finite"),
        ({"attribute": "x", "equals": float("inf")}, ("equals",), "finite"),
        ({"attribute": "x", "equals": 10**15}, ("equals",), "15 digits"),
        ({"attribute": "x", "equals": 0.1 + 0.2}, ("equals",), "15 digits"),
        ({"attribute": "x", "equals": "a" * 1001}, ("equals",), "1000"),
        ({"attribute": "x", "equals": "a\0"}, ("equals",), "NUL"),
        ({"attribute": "x", "less_than": True}, ("less_than",), "no meaning"),
        ({"attribute": "x", "starts_with": ""}, ("starts_with",), "not empty"),
        ({"attribute": "x", "starts_with": 1}, ("starts_with",), "must be text"),
        ({"attribute": "x", "has": "yes"}, ("has",), "true or false"),
        ({"attribute": "x", "in": []}, ("in",), "at least one"),
        ({"attribute": "x", "in": "A"}, ("in",), "must be a list"),
        ({"attribute": "x", "in": ["A", 1]}, ("in",), "all be text"),
        ({"attribute": "x", "in": [True]}, ("in",), "all be text"),
        ({"all": []}, ("all",), "at least one"),
        ({"any": {}}, ("any",), "must be a list"),
        ({"not": []}, ("not",), "must be a table"),
        ({"not": {}, "attribute": "x"}, (), "must stand alone"),
        ({"all": [{"attribute": "x", "has": True}, 1]}, ("all", 1), "must be a table"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_its_place(
    value: object, key: tuple[str | int, ...], words: str
) -> None:
    (problem,) = problems_of(value)
    assert problem.key == key
    assert words in problem.problem


def test_every_problem_is_reported() -> None:
    bad = {"attribute": "x", "equls": 1}
    problems = problems_of({"all": [bad, {"any": [bad, {"not": bad}]}, {**bad, "nothing": 1}]})
    assert [problem.key for problem in problems] == [
        ("all", 0, "equls"),
        ("all", 1, "any", 0, "equls"),
        ("all", 1, "any", 1, "not", "equls"),
        ("all", 2, "equls"),
        ("all", 2, "nothing"),
    ]
    assert "Did you mean `equals`?" in problems[0].remedy


def test_not_equals_is_answered_with_what_to_write() -> None:
    (problem,) = problems_of({"attribute": "ward", "not_equals": "Abbey"})
    assert problem.remedy.startswith("Write { not = {")


LEAF = {"attribute": "x", "has": True}


def _nested(depth: int) -> dict[str, Any]:
    return LEAF if depth == 1 else {"not": _nested(depth - 1)}


def test_depth_and_size_are_bounded() -> None:
    parse_filter(_nested(MAX_DEPTH))
    (problem,) = problems_of(_nested(MAX_DEPTH + 1))
    assert "nested more than" in problem.problem
    parse_filter({"all": [LEAF] * (MAX_CONDITIONS - 1)})
    (problem,) = problems_of({"all": [LEAF] * 10_000})
    assert "more than 200 conditions" in problem.problem
    half = {"attribute": "x", "in": ["a"] * (MAX_VALUES // 2)}
    parse_filter({"all": [half, half]})
    (problem,) = problems_of({"all": [half, half, {"attribute": "x", "in": ["a"]}]})
    assert "more than 5000 values" in problem.problem


def test_unknown_attributes_are_named_with_the_nearest() -> None:
    condition = parse_filter(
        {
            "any": [
                {"attribute": "Wards", "has": True},
                {"not": {"attribute": "age", "has": True}},
                {"attribute": "zzz", "has": True},
                {"field": "title", "has": True},
            ]
        }
    )
    assert attribute_names(condition) == {"Wards", "age", "zzz"}
    assert unknown_attributes(condition, ["ward", "age"]) == [("Wards", "ward"), ("zzz", None)]


def test_nearest() -> None:
    assert nearest("WARD", ["ward", "age"]) == "ward"
    assert nearest("ward", []) is None


json_like: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["field", "attribute", "ward", "direct", "created_at", "", "\0"])
    | st.dates()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["all", "any", "not", "field", "attribute", "in", "has", *Operator, "starts_with"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)
leaf_like = st.fixed_dictionaries({}, optional={op.value: json_like for op in Operator}).flatmap(
    lambda table: st.sampled_from(["field", "attribute"]).flatmap(
        lambda kind: st.sampled_from(["ward", "title", "source", "created_at"]).map(
            lambda name: {kind: name, **dict(list(table.items())[:1])}
        )
    )
)


@given(json_like | leaf_like)
def test_any_value_is_a_filter_or_a_refusal(value: object) -> None:
    try:
        condition: Filter = parse_filter(value)
    except FilterError:
        return
    assert matches(condition, FIELDS, ATTRIBUTES) in {True, False}
