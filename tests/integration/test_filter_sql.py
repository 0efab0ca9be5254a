"""The SQL of a filter selects exactly the people that the pure filter matches."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.orm import aliased

from sender.contacts.filter import (
    FIELDS,
    MOMENT_FIELDS,
    TEXT_FIELDS,
    AllOf,
    AnyOf,
    Attribute,
    Comparison,
    Field,
    Filter,
    Has,
    Literal,
    Not,
    OneOf,
    Operator,
    StartsWith,
    matches,
)
from sender.contacts.filter_language import parse_filter
from sender.contacts.filter_sql import compile_filter
from sender.store.contacts import Contact
from sender.store.controllers import Controller
from sender.store.engine import Store, open_store
from sender.vocabulary import ContactSource

NOW = datetime(2026, 5, 7, 9, tzinfo=UTC)
AWKWARD = [
    "",
    "A",
    "a",
    "AB",
    "aB",
    "Abbey",
    "ABBEY",
    "N1",
    "n1 2ab",
    "N1 2AB",
    "%",
    "_",
    "100%",
    "a_b",
    "axb",
    "a%b",
    "O'Neill",
    'say "hi"',
    "back\\slash",
    "two\nlines",
    "é",
    "e\u0301",
    "ß",
    "Ł",
    "Zoë",
    "z",
    "\ue000",
    "😀",
    "true",
    "null",
    "1",
    "10",
    "2026-05-07",
    "2026-05-07\n",
    "2026-05-0\uff17",
    "2026-5-07",
    "2027-01-01T00",
    "9999-99-99",
    " 2026-01-1",
]
texts = st.sampled_from(AWKWARD) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6
)
integers = st.sampled_from([-1, 0, 1, 2, 10, 10**14]) | st.integers(-(10**14), 10**14)
decimals = st.sampled_from([0.1, 0.3, 1.0, -0.0, 2.5]) | st.integers(-(10**9), 10**9).map(
    lambda n: n / 1000
)
huge = st.sampled_from([2**63, -(2**63) - 1, 10**30, 1e300, 5e-324, 0.1 + 0.2])
dates = st.dates(date(2025, 1, 1), date(2027, 12, 31))
moments = st.datetimes(datetime(2026, 5, 1), datetime(2026, 5, 9)).map(  # noqa: DTZ001 - zone next
    lambda moment: moment.replace(tzinfo=UTC)
)
ATTRIBUTES = ["ward", "Ward", "donor id", "a.b", "true", "7"]
values: st.SearchStrategy[Any] = st.one_of(
    texts,
    integers,
    decimals,
    huge,
    st.booleans(),
    st.none(),
    dates.map(date.isoformat),
    st.lists(texts, max_size=2),
    st.dictionaries(st.sampled_from(ATTRIBUTES), texts, max_size=1),
)
sources = st.sampled_from(list(ContactSource))
people: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        **{name: st.none() | texts for name in TEXT_FIELDS if name != "source"},
        "source": sources,
        "created_at": moments,
        "attributes": st.dictionaries(st.sampled_from(ATTRIBUTES), values, max_size=4),
    }
)
numbers = (integers | decimals).map(lambda number: Decimal(repr(number)))
orders = st.sampled_from([operator for operator in Operator if operator is not Operator.EQUALS])
any_operator = st.sampled_from(list(Operator))
attributes = st.sampled_from(ATTRIBUTES).map(Attribute)
text_fields = st.sampled_from([name for name in TEXT_FIELDS if name != "source"]).map(Field)
anything = attributes | st.sampled_from(FIELDS).map(Field)
lists = st.one_of(*(st.lists(kind, min_size=1, max_size=4) for kind in (texts, numbers, dates)))
leaves: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Has, anything, st.booleans()),
    st.builds(StartsWith, attributes | text_fields, texts.filter(bool)),
    st.builds(Comparison, attributes, any_operator, texts | numbers | dates),
    st.builds(Comparison, attributes, st.just(Operator.EQUALS), st.booleans()),
    st.builds(Comparison, text_fields, any_operator, texts),
    st.builds(Comparison, st.just(Field("created_at")), orders, moments),
    st.builds(Comparison, st.just(Field("source")), any_operator, sources.map(str)),
    st.builds(OneOf, attributes, lists.map(tuple)),
    st.builds(OneOf, text_fields, st.lists(texts, min_size=1, max_size=4).map(tuple)),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    leaves,
    lambda parts: st.one_of(
        st.builds(Not, parts),
        st.builds(AllOf, st.lists(parts, min_size=1, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(parts, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    with opened.write() as session:
        if opened.dialect == "postgresql":
            _order_text_as_a_dictionary_does(session)
        session.execute(insert(Controller).values(id=1, slug="national", created_at=NOW))
    yield opened
    opened.close()


def _order_text_as_a_dictionary_does(session: Any) -> None:
    """Give a column a locale of its own, under which "a" comes before "B"."""
    session.execute(text("CREATE COLLATION dictionary (provider = icu, locale = 'en-GB')"))
    session.execute(
        text('ALTER TABLE contact ALTER last_name TYPE varchar(200) COLLATE "dictionary"')
    )


def _row(number: int, person: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "controller_id": 1, "updated_at": NOW, **_cut(person)}


def _cut(person: dict[str, Any]) -> dict[str, Any]:
    lengths = {"postcode": 16, "locale": 16, "time_zone": 64, "title": 64}
    return {
        name: value[: lengths.get(name, 200)] if isinstance(value, str) else value
        for name, value in person.items()
    }


def _selected(
    store: Store, everyone: list[dict[str, Any]], conditions: list[Filter]
) -> list[set[int]]:
    with store.write() as session:
        session.execute(insert(Contact), everyone)
        found = [
            set(session.scalars(select(Contact.id).where(compile_filter(condition))))
            for condition in conditions
        ]
        session.rollback()
    return found


def _matching(everyone: list[dict[str, Any]], condition: Filter) -> set[int]:
    return {row["id"] for row in everyone if matches(condition, row, row["attributes"])}


@settings(max_examples=150)
@given(
    st.lists(people, min_size=1, max_size=8),
    st.lists(filters, min_size=1, max_size=12),
)
def test_sql_selects_whom_the_pure_filter_matches(
    store: Store, crowd: list[dict[str, Any]], conditions: list[Filter]
) -> None:
    everyone = [_row(number, person) for number, person in enumerate(crowd, 1)]
    assert _selected(store, everyone, conditions) == [
        _matching(everyone, condition) for condition in conditions
    ]


EVERY_VALUE: list[Any] = [*AWKWARD, 0, 1, -1, 1.5, 2**63, 10**30, 1e300, True, False, None, [], {}]


def test_every_operator_on_every_sort_of_value(store: Store) -> None:
    """The same comparison over the whole table of awkward values, beside the random ones."""
    plain = {name: None for name in FIELDS if name not in MOMENT_FIELDS}
    base = {**plain, "source": ContactSource.DIRECT, "created_at": NOW}
    everyone = [
        _row(
            number,
            {
                **base,
                "attributes": {"ward": value},
                "last_name": value if isinstance(value, str) else None,
            },
        )
        for number, value in enumerate(EVERY_VALUE, 1)
    ]
    everyone += [_row(900, {**base, "attributes": {}})]
    literals: list[Literal] = [*AWKWARD, Decimal(1), Decimal("1.5"), date(2026, 5, 7)]
    conditions: list[Filter] = [
        Comparison(Attribute("ward"), operator, literal)
        for literal in literals
        for operator in Operator
    ]
    conditions += [
        Comparison(Field("last_name"), operator, name) for name in AWKWARD for operator in Operator
    ]
    conditions += [Comparison(Attribute("ward"), Operator.EQUALS, flag) for flag in (True, False)]
    conditions += [StartsWith(Attribute("ward"), prefix) for prefix in AWKWARD if prefix]
    conditions += [Not(condition) for condition in conditions]
    assert _selected(store, everyone, conditions) == [
        _matching(everyone, condition) for condition in conditions
    ]


def test_an_alias_of_contact_is_filtered_as_itself(store: Store) -> None:
    other = aliased(Contact)
    condition = parse_filter(
        {"all": [{"field": "postcode", "starts_with": "N1"}, {"attribute": "age", "at_least": 18}]}
    )
    base = {"source": ContactSource.DIRECT, "created_at": NOW, "attributes": {"age": 18}}
    with store.write() as session:
        session.execute(
            insert(Contact),
            [_row(1, {**base, "postcode": "N1 2AB"}), _row(2, {**base, "postcode": "n1 2ab"})],
        )
        found = session.scalars(select(other.id).where(compile_filter(condition, other)))
        assert list(found) == [1]


def test_a_whole_day_is_compared_with_as_people_mean_it(store: Store) -> None:
    day = NOW.date()
    midnight = datetime(2026, 5, 7, tzinfo=UTC)
    created = [midnight - timedelta(microseconds=1), midnight, NOW, midnight + timedelta(days=1)]
    base = {"source": ContactSource.DIRECT, "attributes": {}}
    everyone = [_row(n, {**base, "created_at": moment}) for n, moment in enumerate(created, 1)]
    conditions = [
        parse_filter({"field": "created_at", operator: day})
        for operator in ("less_than", "at_most", "more_than", "at_least")
    ]
    assert _selected(store, everyone, conditions) == [{1}, {1, 2, 3}, {4}, {2, 3, 4}]
