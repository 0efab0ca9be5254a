"""Files of others are read by what the operator says of them, and nothing is guessed."""

import csv
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from sender.errors import FileError, UsageError
from sender.imports.counts import ImportReport, RejectedForm
from sender.imports.csv_file import Encoding
from sender.imports.dates import DateOrder
from sender.imports.mapping import Mapping, read_mapping
from sender.imports.reading import Reading
from sender.store.consents import ConsentEvent
from sender.store.contacts import Contact, ContactPoint
from sender.store.engine import open_store
from sender.store.suppressions import Block
from sender.toml.source import FileErrors
from tests.support.import_world import KEPT, LONG_AGO, World, build_world, notice

MAP = """
ignore = ["Notes"]

[columns]
"E-Mail Adresse" = "email"
"Handy" = "mobile"
"Bezirk" = "attr.ward"
"Ja" = "consent_channel"
"Wann" = "consent_at"
"Nein" = "opt_out"
"Sperre" = "opt_out"

[constants]
consent_purpose = "campaign-news"
consent_notice = "web-form"
consent_method = "web-form"
consent_source = "https://acton.example/join"

[values.consent_channel]
J = "email"
N = ""

[values.opt_out]
X = "email"
ALLES = "all"
"""
HEADER = "E-Mail Adresse|Handy|Bezirk|Ja|Wann|Nein|Sperre|Notes\n"
CONSENT = "consent_purpose,consent_channel,consent_notice,consent_at,consent_method,consent_source"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    store = open_store(database_url)
    yield build_world(store, tmp_path)
    store.close()


def told(report: ImportReport) -> list[dict[str, str]]:
    assert report.rejects_path is not None
    with report.rejects_path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def mapped(world: World, **options: Any) -> Reading:
    return Reading(read_mapping([str(world.write("map.toml", MAP))]), **options)


def row(**changed: str) -> str:
    cells = {
        "email": "jo@example.org",
        "mobile": "07400 123456",
        "consent_purpose": "campaign-news",
        "consent_channel": "email",
        "consent_notice": "web-form",
        "consent_at": "2026-05-07",
        "consent_method": "web-form",
        "consent_source": "https://acton.example/join",
    } | changed
    return ",".join(cells) + "\n" + ",".join(cells.values()) + "\n"


def test_a_mapping_file_names_columns_constants_and_words(world: World) -> None:
    content = HEADER + (
        "jo@example.org|07400 123456|Abbey|J|07.05.2026|||x\n"
        "mo@example.org|||n|07.05.2026|x||\n"
        "di@example.org|||J|07.05.2026|X|alles|\n"
    )
    report = world.bring_in(content, reading=mapped(world, dates=DateOrder.DMY), storage=None)
    jo = world.contact_of("jo@example.org")
    assert jo is not None
    assert jo.attributes == {"ward": "Abbey"}
    assert (report.counts.created, report.counts.rejected) == (3, 0)
    blocked = set(world.all(select(Block.address_id, Block.channel)))
    assert blocked == {
        (world.address_id("mo@example.org"), "email"),
        (world.address_id("di@example.org"), "email"),
        (world.address_id("di@example.org"), "*"),
    }


def test_a_word_without_a_meaning_refuses_the_row_by_the_files_own_name(world: World) -> None:
    content = HEADER + "jo@example.org|||vielleicht|07.05.2026|||\nmo@example.org|||J||?||\n"
    report = world.bring_in(content, reading=mapped(world, dates=DateOrder.DMY), storage=None)
    assert [(one["reject.line"], one["reject.column"]) for one in told(report)][:3] == [
        ("2", "Ja"),
        ("2", "Ja"),
        ("3", "Nein"),
    ]
    assert (report.counts.created, report.counts.consents_recorded) == (0, 0)


def test_pairs_and_constants_stand_for_a_file(world: World) -> None:
    reading = Reading(
        read_mapping(
            ["Email Address=email", "Joined=consent_at"],
            [
                "consent_purpose=campaign-news",
                "consent_channel=email",
                "consent_notice=web-form",
                "consent_method=paper",
                "consent_source=box=7",
            ],
        )
    )
    world.bring_in("Email Address,Joined\njo@example.org,2026-05-07\n", reading=reading)
    assert world.all(select(ConsentEvent.method, ConsentEvent.source)) == [("paper", "box=7")]


@pytest.mark.parametrize(
    ("maps", "constants", "problem"),
    [
        (["Emial=email"], [], "not here.*Did you mean email"),
        (["email=external_ref", "name=external_ref"], [], "twice"),
        (["email=emial"], [], "not known"),
        ([], ["emial=x"], "Did you mean email"),
        ([], [], "not known"),
    ],
)
def test_a_mapping_that_does_not_fit_brings_in_nothing(
    world: World, maps: list[str], constants: list[str], problem: str
) -> None:
    with pytest.raises(FileError, match=problem):
        world.bring_in(
            "email,name\nx@example.org,y\n", reading=Reading(read_mapping(maps, constants))
        )
    assert world.all(select(Contact.id)) == []


def test_what_is_neither_a_pair_nor_a_mapping_is_told(world: World) -> None:
    with pytest.raises(UsageError, match="no pair"):
        read_mapping(["email"])
    with pytest.raises(UsageError, match="no pair"):
        read_mapping([], ["consent_notice"])
    with pytest.raises(FileErrors, match="colums"):
        read_mapping([str(world.write("map.toml", "[colums]\na = 'email'\n"))])


def test_columns_that_nothing_names_are_passed_over_where_that_is_said(world: World) -> None:
    reading = Reading(Mapping(ignored=frozenset({"*"})))
    world.bring_in("email,favourite colour,\njo@example.org,red,\n", reading=reading)
    assert world.contact_of("jo@example.org") is not None


@pytest.mark.parametrize("written", ["7400123456", "447400123456"])
def test_a_number_that_lost_its_first_character_needs_its_country(
    world: World, written: str
) -> None:
    report = world.bring_in(f"external_ref,mobile\nA1,{written}\n")
    assert "--country" in told(report)[0]["reject.remedy"]
    assert world.all(select(ContactPoint.id)) == []
    world.bring_in(f"external_ref,mobile\nA1,{written}\n", reading=Reading(country="GB"))
    assert world.contact_of("+447400123456") is not None


def test_an_opt_out_of_such_a_number_is_taken(world: World) -> None:
    world.bring_in("mobile,opt_out\n7400123456,sms\n")
    assert world.all(select(Block.address_id)) == [(world.address_id("07400123456"),)]


@pytest.mark.parametrize(
    ("cell", "remedy"), [("4.47E+11", "as text"), ("46115", "date like"), ("03/04/2026", "--dates")]
)
def test_what_a_spreadsheet_mangled_is_refused_with_a_remedy(
    world: World, cell: str, remedy: str
) -> None:
    column = "mobile" if "E" in cell else "consent_at"
    report = world.bring_in(row(**{column: cell}))
    assert remedy in told(report)[0]["reject.remedy"]


def test_names_in_windows_1252_come_out_right(world: World) -> None:
    path = world.write("people.csv", "")
    content = "email,first_name\njo@example.org,Zoë\n"
    world.write = lambda _name, _content: path  # type: ignore[method-assign,assignment] # keeps our bytes
    path.write_bytes(content.encode("cp1252"))
    world.bring_in(content, reading=Reading(encoding=Encoding.WINDOWS_1252))
    jo = world.contact_of("jo@example.org")
    assert jo is not None
    assert jo.first_name == "Zoë"


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"consent_method": "pre-ticked"}, "no act"),
        ({"consent_method": "purchase"}, "no act"),
        ({"consent_method": "casework"}, "¶28"),
        ({"consent_notice": "bought"}, "¶76-77"),
        ({"consent_notice": "email-only", "consent_channel": "sms"}, "¶55"),
        ({"consent_notice": "email-only", "consent_channel": "email sms"}, "every one of these"),
        ({"consent_at": "2026-11-22"}, "future"),
        ({"consent_at": "2020-01-01"}, "not shown"),
        ({"consent_notice": "ticked"}, "beforehand"),
        ({"consent_notice": "bundled"}, "bundled"),
        ({"mobile": "", "consent_channel": "sms"}, "no address"),
    ],
)
def test_nobody_is_stored_on_what_is_no_consent(
    world: World, changed: dict[str, str], problem: str
) -> None:
    report = world.bring_in(row(**changed), storage=None)
    assert (report.counts.rejected, report.counts.consents_recorded) == (1, 0)
    assert problem in " ".join(one["reject.problem"] for one in told(report))
    assert world.all(select(Contact.id)) == []
    assert world.all(select(ConsentEvent.id)) == []


def test_several_channels_of_one_consent_are_each_recorded(world: World) -> None:
    report = world.bring_in(row(consent_channel="email sms"), storage=None)
    assert report.counts.consents_recorded == 2


def test_people_without_consent_are_stored_for_a_purpose_and_a_time(world: World) -> None:
    assert world.bring_in("email\njo@example.org\n", storage=None).counts.rejected == 1
    assert world.bring_in("email\njo@example.org\n", storage=KEPT).counts.created == 1
    jo = world.contact_of("jo@example.org")
    assert jo is not None
    assert (jo.retained_for, jo.retain_until) == (KEPT.purpose, KEPT.until)


def test_whoever_is_known_is_merged_and_whoever_said_no_is_kept(world: World) -> None:
    world.bring_in(row(), storage=None)
    content = "email,first_name,opt_out\njo@example.org,Jo,\nmo@example.org,Mo,all\n"
    report = world.bring_in(content, storage=None)
    assert (report.counts.merged, report.counts.created) == (1, 1)


def test_a_day_that_cannot_be_read_is_none_of_its_forms(world: World) -> None:
    days = ["2023-06-03", "", "summer", "######", "2023-06-01", "46115"]
    lines = [
        f"{number}@example.org,campaign-news,email,summer-fair,{day},paper,box 7"
        for number, day in enumerate(days)
    ]
    report = world.bring_in(f"email,{CONSENT}\n" + "\n".join(lines) + "\n", storage=None)
    assert report.groups == [RejectedForm("summer-fair", "2023-06-01", "2023-06-03", 6)]


def test_archived_wording_rescues_exactly_the_rows_of_its_form(world: World) -> None:
    lines = [
        "a@example.org,campaign-news,email,summer-fair,2023-06-03,paper,box 7",
        "b@example.org,campaign-news,email,summer-fair,2023-06-01,paper,box 7",
        "c@example.org,campaign-news,email,winter-fair,2023-12-01,paper,box 8",
        "d@example.org,campaign-news,email,web-form,2026-05-07,web-form,site",
    ]
    content = f"email,{CONSENT}\n" + "\n".join(lines) + "\n"
    first = world.bring_in(content, storage=None)
    assert first.groups == [
        RejectedForm("summer-fair", "2023-06-01", "2023-06-03", 2),
        RejectedForm("winter-fair", "2023-12-01", "2023-12-01", 1),
    ]
    assert {(one["reject.form"], one["reject.date"]) for one in told(first)} == {
        ("summer-fair", "2023-06-03"),
        ("summer-fair", "2023-06-01"),
        ("winter-fair", "2023-12-01"),
    }
    with world.store.write() as session:
        session.add(notice(1, "summer-fair", controllers=["acton"], shown_from=LONG_AGO))
    assert first.rejects_path is not None
    rescued = world.bring_in(first.rejects_path.read_text("utf-8"), name="r.csv", storage=None)
    assert (rescued.counts.created, rescued.counts.rejected) == (2, 2)  # two lines tell of one row
    again = world.bring_in(content, storage=None)
    assert (again.counts.unchanged, again.counts.rejected) == (3, 1)


_numbers = count()
_rows = st.fixed_dictionaries(
    {
        "who": st.integers(0, 3),
        "email": st.sampled_from(["", "{}@example.org", "nope"]),
        "mobile": st.sampled_from(["", "0740012345{}", "740012345{}"]),
        "opt_out": st.sampled_from(["", "email", "all", "bounce:sms", "perhaps"]),
        "notice": st.sampled_from(["", "web-form", "bought", "unknown"]),
    }
)


@pytest.mark.parametrize("dialect", ["sqlite"])
@settings(max_examples=15)
@given(lines=st.lists(_rows, min_size=1, max_size=6), is_kept=st.booleans())
def test_every_row_has_one_outcome_and_a_dry_run_tells_the_same(
    world: World, *, lines: list[dict[str, Any]], is_kept: bool
) -> None:
    content = f"external_ref,email,mobile,opt_out,{CONSENT}\n"
    for line in lines:
        who = line["who"]
        yes = (
            f"campaign-news,email,{line['notice']},2026-05-07,paper,box"
            if line["notice"]
            else ",,,,,"
        )
        cells = [f"R{who}", line["email"].format(who), line["mobile"].format(who), line["opt_out"]]
        content += ",".join([*cells, yes]) + "\n"
    storage = KEPT if is_kept else None
    dry = world.bring_in(content, storage=storage, dry_run=True).counts
    real = world.bring_in(content, storage=storage).counts
    assert dry == real
    assert real.created + real.merged + real.unchanged + real.rejected == real.rows == len(lines)
