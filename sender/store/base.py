"""The declarative base and the column types that behave alike on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Integer, MetaData, SmallInteger, String
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from sender.vocabulary import (
    Arrival,
    BlockCause,
    CampaignKind,
    Channel,
    ConsentFlaw,
    ConsentKind,
    ContactSource,
    ControllerKind,
    DeliveryState,
    EventKind,
    OccurrenceState,
    OptOutStyle,
    Priority,
    ProviderName,
    Reason,
    ReplyMeaning,
    RunState,
    ScheduleState,
    SuppressionAct,
)

WORD_LENGTH = 32


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; naive values are refused, SQLite's answers get their zone back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; without its zone where the database cannot hold one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime reached the database layer")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the value as aware UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Word(TypeDecorator[StrEnum]):
    """A word of the vocabulary, stored as it is written."""

    impl = String(WORD_LENGTH)
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        """Refuse anything that is not a word of this vocabulary."""
        del dialect
        return None if value is None else self.words(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        """Return the word."""
        del dialect
        return None if value is None else self.words(value)


class Numbered(TypeDecorator[IntEnum]):
    """A word of the vocabulary that is ordered by number."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, words: type[IntEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: IntEnum | None, dialect: Dialect) -> int | None:
        """Refuse anything that is not a word of this vocabulary."""
        del dialect
        return None if value is None else int(self.words(value))

    def process_result_value(self, value: int | None, dialect: Dialect) -> IntEnum | None:
        """Return the word."""
        del dialect
        return None if value is None else self.words(value)


BigKey = BigInteger().with_variant(Integer, "sqlite")
"""64-bit keys; SQLite only numbers rows by itself in a column declared INTEGER."""

JsonObject = dict[str, Any]
"""A JSON document; its values are checked where they are read."""

_WORDS: tuple[type[StrEnum], ...] = (
    Arrival,
    CampaignKind,
    Channel,
    ConsentFlaw,
    ConsentKind,
    ContactSource,
    ControllerKind,
    DeliveryState,
    EventKind,
    OccurrenceState,
    OptOutStyle,
    Priority,
    ProviderName,
    Reason,
    ReplyMeaning,
    RunState,
    ScheduleState,
    SuppressionAct,
)


class Base(DeclarativeBase):
    """All tables. Constraints are named, so that SQLite's batch migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads it from the class
        int: BigKey,
        datetime: UtcDateTime,
        dict[str, Any]: JSON(none_as_null=True),
        list[str]: JSON(none_as_null=True),
        list[int]: JSON(none_as_null=True),
        BlockCause: Numbered(BlockCause),
        **{word: Word(word) for word in _WORDS},
    }
