"""An archived wording brings in exactly the rows of its form and time that an import rejected.

The file is one as an organisation has it after years: a form whose wording changed, another form,
rows with other mistakes, opt-outs among them, accents and quoted commas.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import pytest

from tests.support.command_line import Desk

HEADER = (
    "external_ref,first_name,last_name,email,attr.ward,consent_purpose,consent_channel,"
    "consent_notice,consent_at,consent_method,consent_source,opt_out\n"
)
WORDING = {
    "old": "Yes, Riverside Association may send me campaign news by e-mail.",
    "new": "Please send me campaign news from Riverside Association by e-mail.",
    "petition": "Riverside Association may send me campaign news by e-mail. Save our library!",
}
NOTICE = """\
controller = "riverside"
slug = "{slug}"
wording = "{wording}"
channels = ["email"]
purposes = ["campaign-news"]
controllers = ["riverside"]
privacy_notice_url = "https://riverside.example.org/privacy"
shown_from = {shown_from}
shown_until = {shown_until}
signed_off_by = "Pat Promoter"
"""
OLD, NEW, PETITION = range(1, 8), range(8, 20), range(20, 25)
BROKEN, GONE = 25, 26
PEOPLE = 26


def row(number: int, form: str, at: str, *, email: str = "", opt_out: str = "") -> str:
    address = email or f"person{number}@example.org"
    return (
        f'A-{number:03},Zoë,"O\'Brien, {number}",{address},Abbey,campaign-news,email,'
        f"{form},{at},web-form,https://riverside.example.org/join,{opt_out}\n"
    )


def rows() -> Iterable[str]:
    yield HEADER
    for number in OLD:
        yield row(number, "join-page", f"2024-{number:02}-11 18:30")
    for number in NEW:
        yield row(number, "join-page", f"2025-{number - 7:02}-11 18:30")
    for number in PETITION:
        yield row(number, "library-petition", "2024-06-01")
    yield row(BROKEN, "join-page", "2024-03-04", email="person at example.org")
    yield row(GONE, "join-page", "2024-03-05", opt_out="email")


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.write("people.csv", "".join(rows()))
    return desk


def bring_in(desk: Desk, file: str = "people.csv") -> Any:
    """Import the file, and let the consents count that it brought."""
    report = desk.read("contacts", "import", file, "-c", "riverside")
    if report["counts"]["consents_recorded"]:
        desk.done("contacts", "batch", "approve", str(report["batch"]), "-c", "riverside", "--yes")
    return report


def archive(desk: Desk, slug: str, wording: str, shown_from: str, shown_until: str) -> None:
    text = NOTICE.format(
        slug=slug, wording=WORDING[wording], shown_from=shown_from, shown_until=shown_until
    )
    desk.done("notice", "add", desk.write(f"{slug}-{wording}.toml", text))


def forms(report: Any) -> list[tuple[str, str, str, int]]:
    return [
        (one["form"], one["first_day"], one["last_day"], one["rows"])
        for one in report["rejected_forms"]
    ]


def agreed(desk: Desk) -> dict[int, list[str]]:
    """Return on which wordings each person's yeses rest, as their history has them."""
    found = {}
    for number in range(1, PEOPLE + 1):
        if number == BROKEN:
            continue
        address = f"person{number}@example.org"
        history = desk.read("consent", "history", address, "-c", "riverside")
        found[number] = [one["notice"] for one in history["events"] if one["what"] == "given"]
    return found


def expected(**wordings: Iterable[int]) -> dict[int, list[str]]:
    names = {"old": "join-page@1", "new": "join-page@2", "petition": "library-petition@1"}
    found: dict[int, list[str]] = {n: [] for n in range(1, PEOPLE + 1) if n != BROKEN}
    for wording, numbers in wordings.items():
        found |= {number: [names[wording]] for number in numbers}
    return found


def test_each_wording_rescues_the_rows_of_its_form_and_time_and_no_other(desk: Desk) -> None:
    first = bring_in(desk)
    # Who said no is taken without any wording; that they are, is what keeps the no.
    assert (first["counts"]["created"], first["counts"]["rejected"]) == (1, PEOPLE - 1)
    assert first["counts"]["opt_outs_recorded"] == 1
    assert forms(first) == [
        ("join-page", "2024-01-11", "2025-12-11", 21),
        ("library-petition", "2024-06-01", "2024-06-01", 5),
    ]
    assert agreed(desk) == expected()

    archive(desk, "join-page", "old", "2023-01-01", "2025-01-01")
    second = bring_in(desk)
    assert second["counts"]["created"] == len(OLD)
    assert second["counts"]["consents_recorded"] == len([*OLD, GONE])
    assert agreed(desk) == expected(old=[*OLD, GONE])
    assert ("join-page", "2024-03-04", "2025-12-11", 13) in forms(second)

    archive(desk, "join-page", "new", "2025-01-01", "2026-01-01")
    assert bring_in(desk)["counts"]["created"] == len(NEW)
    assert agreed(desk) == expected(old=[*OLD, GONE], new=NEW)

    archive(desk, "library-petition", "petition", "2024-05-01", "2024-07-01")
    last = bring_in(desk)
    assert last["counts"]["created"] == len(PETITION)
    assert agreed(desk) == expected(old=[*OLD, GONE], new=NEW, petition=PETITION)
    assert last["counts"]["rejected"] == 1
    blocked = desk.read("suppress", "check", f"person{GONE}@example.org", "-c", "riverside")
    assert [one["cause"] for one in blocked["blocks"]] == ["opt_out"]


def test_a_row_is_rescued_once_by_whichever_file_brings_it_again(desk: Desk) -> None:
    rejects = bring_in(desk)["rejects_file"]
    archive(desk, "join-page", "old", "2023-01-01", "2025-01-01")
    assert bring_in(desk, rejects)["counts"]["created"] == len(OLD)
    for file in ("people.csv", rejects, "people.csv"):
        again = bring_in(desk, file)
        told = again["counts"]
        assert (told["created"], told["merged"], told["consents_recorded"]) == (0, 0, 0)
    assert agreed(desk) == expected(old=[*OLD, GONE])


def test_what_shows_how_the_form_looked_is_kept_with_the_wording(desk: Desk) -> None:
    picture = desk.folder / "join-page.png"
    picture.write_bytes(b"\x89PNG as it was")
    text = NOTICE.format(
        slug="join-page", wording=WORDING["old"], shown_from="2023-01-01", shown_until="2025-01-01"
    )
    said = 'screenshot = "join-page.png"\n'
    desk.done("notice", "add", desk.write("join-page.toml", text + said))
    bring_in(desk)
    shown = desk.read("evidence", "person1@example.org", "-c", "riverside")
    wording = shown["consents"][0]["wording"]
    assert wording["notice"] == "join-page@1"
    assert wording["screenshot"] == "join-page.png"
    assert wording["screenshot_sha256"] == sha256(picture.read_bytes()).hexdigest()
    assert wording["signed_off_by"] == "Pat Promoter"
    page = desk.folder / "page.html"
    desk.done("evidence", "person1@example.org", "-c", "riverside", "--html", page)
    assert wording["screenshot_sha256"] in page.read_text()
    desk.done("notice", "add", "join-page.toml")
    [_, listed] = desk.read("notice", "list", "-c", "riverside")["notices"][-2:]
    assert (listed["notice"], listed["screenshot"]) == ("sign-up-form@1", None)


@pytest.mark.parametrize("name", ["missing.png", "../join-page.png", ".hidden"])
def test_a_picture_lies_beside_its_notice(desk: Desk, name: str) -> None:
    text = NOTICE.format(
        slug="join-page", wording=WORDING["old"], shown_from="2023-01-01", shown_until="2025-01-01"
    )
    refused = desk.sender(
        "notice", "add", desk.write("join-page.toml", text + f'screenshot = "{name}"\n')
    )
    assert refused.code != 0
    assert "screenshot" in refused.err


def test_a_wording_that_was_no_consent_rescues_nobody(desk: Desk) -> None:
    bring_in(desk)
    text = NOTICE.format(
        slug="join-page", wording=WORDING["old"], shown_from="2023-01-01", shown_until="2026-01-01"
    )
    desk.done("notice", "add", desk.write("ticked.toml", text + "pre_ticked = true\n"))
    told = bring_in(desk)["counts"]
    assert (told["created"], told["consents_recorded"]) == (0, 0)
    assert agreed(desk) == expected()
