"""How a file is to be read, as the operator says: what no file tells about itself."""

from dataclasses import dataclass, field
from datetime import date

from sender.imports.csv_file import Encoding
from sender.imports.dates import DateOrder
from sender.imports.mapping import Mapping


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that is said about a file of people.

    Attributes:
        mapping: which column is which.
        preset: the system whose export it is (`listmonk`, `mailchimp`, `nationbuilder`); empty
            where it is none.
        encoding: of its text; None lets its first bytes tell UTF-8 from UTF-16.
        dates: the order of day and month.
        country: where numbers are that have neither a country code nor a first zero (ISO 3166-1);
            None refuses them.
    """

    mapping: Mapping = field(default_factory=Mapping)
    preset: str = ""
    encoding: Encoding | None = None
    dates: DateOrder = DateOrder.ISO
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Storage:
    """What people without consent are kept for, and until when (guidance ¶83).

    Attributes:
        purpose: in the organisation's own words, e.g. `canvassing`.
        until: the last day.
    """

    purpose: str
    until: date
