"""Whom a campaign is for: `[audience]` narrows the controller's contacts or names a source."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from sender.campaigns.files import FileLookup, SourceText
from sender.campaigns.sections import Section
from sender.campaigns.source_query import check_query
from sender.consent.expiring import MOST_DAYS, read_days
from sender.contacts.filter import Filter
from sender.contacts.filter_language import FilterError, parse_filter

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SOURCE_KEYS: Final = ("url_env", "query", "address", "reference", "attributes")


@dataclass(frozen=True, slots=True)
class AudienceSource:
    """Recipients pulled from the organisation's own database.

    Attributes:
        url_env: the environment variable that holds the SQLAlchemy URL.
        query: one reading statement; begins with SELECT or WITH, may end in a semicolon.
        address: the result's column with the address; or
        reference: the one with the contact's external reference. Exactly one is not None.
        attributes: the columns for the templates; None: all the others.
    """

    url_env: str
    query: SourceText
    address: str | None
    reference: str | None
    attributes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Audience:
    """The controller's contacts, all where everything is None.

    Attributes:
        where: narrows them.
        source: brings them from elsewhere instead.
        expiring_within: narrows them to those whose consent ends within this time, who are asked
            to reconfirm (guidance ¶57).
    """

    where: Filter | None = None
    source: AudienceSource | None = None
    expiring_within: timedelta | None = None


def parse_audience(campaign: Section, lookup: FileLookup) -> Audience:
    """Read `[audience]`."""
    section = campaign.section("audience", ("where", "source", "expiring_within"))
    if section is None:
        return Audience()
    if section.has("where") and section.has("source"):
        section.refuse(
            "where",
            "cannot stand beside a source.",
            "Put the condition into the WHERE of the source's query.",
        )
    if section.has("expiring_within") and section.has("source"):
        section.refuse(
            "expiring_within",
            "cannot stand beside a source.",
            "People whose consent ends soon are found among the controller's contacts.",
        )
    return Audience(_where(section), _source(section, lookup), _expiring_within(section))


def _expiring_within(section: Section) -> timedelta | None:
    text = section.text("expiring_within")
    if text is None:
        return None
    within = read_days(text)
    if within is None:
        section.refuse(
            "expiring_within",
            f"{text!r} is not a time from 1 to {MOST_DAYS:,} days.",
            'Write a number of days or weeks, such as "60d" or "8w".',
        )
    return within


def _where(section: Section) -> Filter | None:
    if not section.has("where"):
        return None
    try:
        return parse_filter(section.table["where"])
    except FilterError as error:
        for problem in error.problems:
            section.refuse(("where", *problem.key), problem.problem, problem.remedy)
        return None


def _source(audience: Section, lookup: FileLookup) -> AudienceSource | None:
    section = audience.section("source", _SOURCE_KEYS)
    if section is None:
        return None
    section.require("url_env", "query")
    if section.has("address") == section.has("reference"):
        section.refuse((), "needs either `address` or `reference`, the column to know people by.")
    url_env, query = _url_env(section), _query(section, lookup)
    address, reference = section.text("address"), section.text("reference")
    attributes = section.texts("attributes", _flaw_of_column)
    if url_env is None or query is None:
        return None
    return AudienceSource(
        url_env, query, address, reference, attributes if section.has("attributes") else None
    )


def _url_env(section: Section) -> str | None:
    name = section.text("url_env")
    if name is not None and not _VARIABLE.fullmatch(name):
        section.refuse(
            "url_env",
            "must be the name of an environment variable.",
            "A database's URL holds its password: keep it in the environment, and write here "
            "only the variable's name, such as CRM_DATABASE_URL.",
        )
    return name


def _query(section: Section, lookup: FileLookup) -> SourceText | None:
    query = section.file("query", lookup)
    if query is not None:
        error = check_query(query.text, path=section.source.path.parent / Path(query.name))
        if error is not None:
            section.source.add(error)
    return query


def _flaw_of_column(name: str) -> str:
    return "" if name.strip() else "is empty."
