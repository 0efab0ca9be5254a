"""Five thousand people who never were, in the ways that real lists are imperfect; a fixed seed."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

SEED: Final = 1832
PEOPLE: Final = {"national": 3_200, "riverside": 1_000, "jones": 800}

_FIRST_NAMES = (
    "Aisha Alan Amara Anna Beth Bronwen Callum Carys Chidi David Dylan Efua Eilidh Emma Farah "
    "Fiona George Grace Hamza Hannah Iain Imogen Jack Jasmin Karim Kate Leah Liam Maeve Mohammed "
    "Nia Noah Olivia Owen Priya Rhys Rosie Sam Sanjay Sian Tariq Tom Uma Wei Yusuf Zara Zoë Siôn"
)
_LAST_NAMES = (
    "Adeyemi Ahmed Begum Brown Campbell Chowdhury Clarke Davies Evans Fraser Green Griffiths Hall "
    "Hughes Hussain Jenkins Jones Kaur Khan Lewis MacDonald Morgan Murphy Ngo O'Brien Okoye Patel "
    "Price Roberts Robinson Rosen Shah Singh Smith Stewart Taylor Thomas Thompson Walker Williams"
)
_WARDS = ("Castle", "Ferry", "Mill Lane", "Northgate", "Old Town", "St Anne's")
_STATIONS = ("Friends' Hall", "Mill Lane School", "St Anne's Church Hall", "The Boathouse")
_COLUMNS = (
    "external_ref first_name last_name postcode source source_detail email mobile attr.ward "
    "attr.polling_station attr.member:boolean consent_purpose consent_channel consent_notice "
    "consent_at consent_method consent_source consent_until opt_out opt_out_at opt_out_source"
)

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes rows of one controller; every draw comes from one seeded source."""

    random: Random
    now: datetime
    numbers: Iterator[int] = field(default_factory=count)

    def person(self, prefix: str, number: int) -> Row:
        first, last = self._one_of(_FIRST_NAMES), self._one_of(_LAST_NAMES)
        row = {"external_ref": f"{prefix}-{number:05d}", "first_name": first, "last_name": last}
        if self.random.random() < 0.04:  # noqa: PLR2004  # some gave no name
            del row["first_name"], row["last_name"]
        row["postcode"] = f"RV{self.random.randint(1, 9)} {self.random.randint(1, 9)}AB"
        row["source"] = "direct"
        row["attr.member:boolean"] = self.random.choice(("yes", "no"))
        if self.random.random() < 0.8:  # noqa: PLR2004  # the ward is not known of everybody
            row["attr.ward"] = self.random.choice(_WARDS)
        return row

    def _one_of(self, words: str) -> str:
        return self.random.choice(words.split())

    def days_ago(self, least: int, most: int) -> str:
        moment = self.now - timedelta(days=self.random.randint(least, most), hours=9)
        return moment.isoformat(timespec="minutes")

    def yes(self, purpose: str, channel: str, notice: str, at: str) -> Row:
        return {
            "consent_purpose": purpose,
            "consent_channel": channel,
            "consent_notice": notice,
            "consent_at": at,
            "consent_method": "web-form",
            "consent_source": f"{notice} form",
        }

    def pick(self, shares: "dict[Tell, int]") -> "Tell":
        return self.random.choices(list(shares), weights=list(shares.values()))[0]


def write_people(folder: Path, now: datetime) -> None:
    """Write `people/*.csv` and the old system's opt-outs, where they are not there yet.

    Args:
        folder: the demonstration's folder.
        now: consent ages are counted back from here.
    """
    makers: dict[str, Callable[[_Maker, int], Row]] = {
        "national": _national,
        "riverside": _riverside,
        "jones": _jones,
    }
    folder = folder / "people"
    folder.mkdir(parents=True, exist_ok=True)
    for slug, make in makers.items():
        path = folder / f"{slug}.csv"
        if path.exists():
            continue
        maker = _Maker(Random(f"{SEED}-{slug}"), now)  # noqa: S311  # no secret: a repeatable crowd
        rows = [make(maker, number) for number in range(PEOPLE[slug])]
        _write_csv(path, _COLUMNS.split(), rows)
        _write_csv(folder / f"{slug}-old-opt-outs.csv", _OPT_OUT_HEADER, list(_opt_outs(rows)))


_OPT_OUT_HEADER = ("email", "opt_out_at", "opt_out_source")
_OLD_OPT_OUTS_EVERY = 41

Tell = Callable[[_Maker, Row], Row]
"""What one sort of person told us, as cells."""


def _nothing(_maker: _Maker, _row: Row) -> Row:
    return {}


def _agreed(least: int, most: int, *consent: str, **more: str) -> Tell:
    def tell(maker: _Maker, _row: Row) -> Row:
        purpose, channel, notice = consent
        return maker.yes(purpose, channel, notice, maker.days_ago(least, most)) | more

    return tell


def _agreed_then(opt_out: str, source: str, *consent: str) -> Tell:
    def tell(maker: _Maker, row: Row) -> Row:
        no = {"opt_out": opt_out, "opt_out_at": maker.days_ago(5, 150), "opt_out_source": source}
        return _agreed(200, 600, *consent)(maker, row) | no

    return tell


def _agreed_until(*consent: str) -> Tell:
    def tell(maker: _Maker, row: Row) -> Row:
        until = {"consent_until": maker.days_ago(10, 100)}
        return _agreed(300, 500, *consent)(maker, row) | until

    return tell


def _from(source: str, detail: str = "") -> Tell:
    return lambda _maker, _row: {"source": source, "source_detail": detail}


def _both(first: Tell, second: Tell) -> Tell:
    return lambda maker, row: first(maker, row) | second(maker, row)


_NEWS = ("campaign-news", "email", "joining")
_REMINDER = ("polling-day-reminder", "sms", "doorstep")

_NATIONAL: dict[Tell, int] = {
    _agreed(3, 600, *_NEWS): 62,
    _agreed(760, 2_000, *_NEWS): 8,
    _agreed(3, 500, "fundraising", "email", "joining"): 6,
    _agreed(3, 500, "campaign-news", "sms", "joining", mobile="+447700900"): 5,
    _agreed_then("purpose:campaign-news", "web page", *_NEWS): 4,
    _agreed_then("all", "letter", *_NEWS): 2,
    _from("casework"): 3,
    _both(
        _from("third_party", "Petition Partners Ltd"),
        _agreed(30, 500, "campaign-news", "email", "petition-partner"),
    ): 3,
    _both(
        _from("third_party", "the Valley Residents' Forum"),
        _agreed(30, 500, "campaign-news", "email", "forum"),
    ): 2,
    _nothing: 3,
    _agreed_until(*_NEWS): 2,
}
"""In a hundred: agreed, long ago, to something else, by text only, withdrew, objected, …"""

_RIVERSIDE: dict[Tell, int] = {
    _agreed(3, 600, *_REMINDER): 66,
    _agreed(760, 2_000, *_REMINDER): 9,
    _agreed(3, 500, "local-issue:library", "sms", "library-leaflet"): 10,
    _agreed_then("sms", "STOP", *_REMINDER): 5,
    _agreed_then("all", "doorstep", *_REMINDER): 3,
    _from("casework"): 4,
    _nothing: 3,
}


def _national(maker: _Maker, number: int) -> Row:
    row = maker.person("N", number) | {"email": f"n{number:05d}@example.org"}
    row |= maker.pick(_NATIONAL)(maker, row)
    if "mobile" in row:
        row["mobile"] += f"{next(maker.numbers):03d}"
    return row


def _riverside(maker: _Maker, number: int) -> Row:
    row = maker.person("R", number) | {
        "mobile": f"+447700900{number:03d}",
        "email": f"r{number:05d}@example.com",
        "attr.polling_station": maker.random.choice(_STATIONS),
    }
    return row | maker.pick(_RIVERSIDE)(maker, row)


def _jones(maker: _Maker, number: int) -> Row:
    row = maker.person("J", number)
    # The same people may be known to several bodies; nothing they told one is another's to use.
    row["email"] = f"n{number * 3:05d}@example.org"
    if maker.random.random() < 0.7:  # noqa: PLR2004  # the rest are on the list without a yes
        row |= maker.yes("campaign-news", "email", "website", maker.days_ago(3, 700))
    return row


def _opt_outs(rows: list[Row]) -> Iterator[Row]:
    """Yield what the system used before had recorded: some of these people had unsubscribed."""
    for number, row in enumerate(rows):
        if number % _OLD_OPT_OUTS_EVERY == 0 and "email" in row:
            yield {"email": row["email"], "opt_out_source": "old system"}


def _write_csv(path: Path, header: tuple[str, ...] | list[str], rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, header, restval="")
        writer.writeheader()
        writer.writerows(rows)
