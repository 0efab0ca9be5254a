"""A campaign file becomes a definition, or every one of its errors with file, line and key."""

import shutil
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.campaigns.audience import Audience
from sender.campaigns.definition import CampaignDefinition, load_campaign, parse_campaign
from sender.campaigns.files import CampaignFiles, flaw_of_name
from sender.campaigns.schedule import Bounds, Recurring
from sender.contacts.filter import Attribute, OneOf
from sender.delivery.window import SendingWindow
from sender.errors import FileError
from sender.toml.source import FileErrors
from sender.vocabulary import CampaignKind, Channel, OptOutStyle, Priority

PATH = Path("campaigns/spring.toml")
FILES = {
    "spring.html": "<p>Hello</p>",
    "spring.txt": "Hello",
    "own.html": "<html></html>",
    "poll.txt": "Vote",
    "people.sql": "SELECT email, ward FROM people",
    "layouts:standard": "<html>{% block content %}{% endblock %}</html>",
}
EMAIL = """\
name = "spring-update"
controller = "national"
channel = "email"
purpose = "campaign-news"
subject = "News, {{ recipient.first_name | default('friend') }}"
template = "spring.html"
max_recipients = 10000
"""
SMS = """\
name = "polling-day"
controller = "national"
channel = "sms"
purpose = "polling-day-reminder"
template = "poll.txt"
max_recipients = 500
"""


def parse(text: str) -> CampaignDefinition:
    return parse_campaign(text, FILES, PATH)


def errors_of(text: str) -> tuple[FileError, ...]:
    with pytest.raises(FileErrors) as caught:
        parse(text)
    return caught.value.errors


def found(text: str) -> list[tuple[int | None, str]]:
    return [(error.line, error.key) for error in errors_of(text)]


def test_the_least_that_an_email_campaign_says() -> None:
    campaign = parse(EMAIL)
    assert (campaign.name, campaign.controller) == ("spring-update", "national")
    assert (campaign.channel, campaign.kind) == (Channel.EMAIL, CampaignKind.MARKETING)
    assert campaign.template.text == "<p>Hello</p>"
    assert campaign.layout is not None
    assert campaign.layout.name == "standard"
    assert campaign.on_behalf_of == ()
    assert campaign.audience == Audience()
    assert campaign.max_segments is None
    assert campaign.values == {}
    assert campaign.window is None
    assert (campaign.priority, campaign.weight) == (Priority.NORMAL, 1)


def test_everything_that_a_campaign_can_say() -> None:
    campaign = parse(
        EMAIL
        + """\
on_behalf_of = ["candidate-jones"]
kind = "research"
preheader = "Three dates"
text_template = "spring.txt"
layout = "own.html"
sender = "press-office"
fresh_within_months = 12
expires_at = 2026-12-01T20:00:00+01:00
priority = "urgent"
weight = 100
[values]
event = { place = "Town Hall", seats = 40, free = true, hours = [18.5, 20] }
[window]
from = "09:00"
to = 20:00:00
[schedule]
cron = "0 9 * * MON"
time_zone = "Europe/London"
start = 2026-05-01
blackout = [2026-12-25, 2026-05-04]
[audience]
where = { attribute = "ward", in = ["A", "B"] }
"""
    )
    assert campaign.on_behalf_of == ("candidate-jones",)
    assert campaign.kind is CampaignKind.RESEARCH
    assert campaign.expires_at == datetime(2026, 12, 1, 19, tzinfo=UTC)
    assert campaign.window == SendingWindow(9 * 60, 20 * 60)
    assert (campaign.priority, campaign.weight) == (Priority.URGENT, 100)
    assert campaign.schedule == Recurring(
        "0 9 * * MON",
        Bounds("Europe/London", date(2026, 5, 1), None, (date(2026, 5, 4), date(2026, 12, 25))),
    )
    assert campaign.audience.where == OneOf(Attribute("ward"), ("A", "B"))
    assert campaign.values["event"]["hours"] == [18.5, 20]
    assert campaign.layout is not None
    assert campaign.layout.text == "<html></html>"
    with pytest.raises(FrozenInstanceError):
        campaign.name = "other"  # type: ignore[misc]  # frozen


@pytest.mark.parametrize(
    ("hours", "window"),
    [
        ('from = "00:00"\nto = "24:00"', SendingWindow(0, 1440)),
        ('from = 07:30:00\nto = "21:05"', SendingWindow(450, 1265)),
    ],
)
def test_sending_hours(hours: str, window: SendingWindow) -> None:
    assert parse(EMAIL + "[window]\n" + hours).window == window


def test_sms() -> None:
    campaign = parse(SMS + "[opt_out]\nstyle = 'both'\n")
    assert campaign.opt_out is OptOutStyle.BOTH
    assert campaign.max_segments == 2
    assert (campaign.subject, campaign.layout) == (None, None)
    assert set(campaign.files.files) == {"poll.txt"}


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('name = "Spring Update"', "name"),
        ('name = "a--b"', "name"),
        (f'name = "{"a" * 65}"', "name"),
        ("name = 7", "name"),
        ('controller = ""', "controller"),
        ('channel = "e-mail"', "channel"),
        ("channel = true", "channel"),
        ('purpose = "Campaign News"', "purpose"),
        ('purpose = "local-issue:"', "purpose"),
        ('subject = ""', "subject"),
        ('subject = "two\\nlines"', "subject"),
        ('subject = "line\\u2028separator"', "subject"),
        ('template = "gone.html"', "template"),
        ('template = "/etc/passwd"', "template"),
        ('template = "../spring.html"', "template"),
        ('template = "a/../../spring.html"', "template"),
        ('template = "C:\\\\spring.html"', "template"),
        ('template = "layouts:standard"', "template"),
        ('template = ""', "template"),
        ('template = ["spring.html"]', "template"),
        ("max_recipients = 0", "max_recipients"),
        ("max_recipients = true", "max_recipients"),
        ("max_recipients = 1e4", "max_recipients"),
        ('max_recipients = "many"', "max_recipients"),
    ],
)
def test_a_wrong_value_is_blamed_on_its_own_line(line: str, key: str) -> None:
    lines = EMAIL.splitlines()
    place = next(number for number, old in enumerate(lines) if old.startswith(f"{key} "))
    lines[place] = line
    assert (place + 1, key) in found("\n".join(lines))


@pytest.mark.parametrize(
    ("addition", "line", "key"),
    [
        ('on_behalf_of = ["national"]', 8, "on_behalf_of[1]"),
        ('on_behalf_of = ["a", "a"]', 8, "on_behalf_of[2]"),
        ('on_behalf_of = ["a",\n"A B"]', 9, "on_behalf_of[2]"),
        ("on_behalf_of = [1]", 8, "on_behalf_of[1]"),
        ('on_behalf_of = "a"', 8, "on_behalf_of"),
        ('kind = "news"', 8, "kind"),
        ('layout = "fancy"', 8, "layout"),
        ("layout = 1", 8, "layout"),
        ("fresh_within_months = 0", 8, "fresh_within_months"),
        ("expires_at = 2026-12-01T20:00:00", 8, "expires_at"),
        ("expires_at = 2026-12-01", 8, "expires_at"),
        ('expires_at = "2026-12-01T20:00:00Z"', 8, "expires_at"),
        ("expires_at = 0001-01-01T00:00:00+12:00", 8, "expires_at"),
        ("max_segments = 2", 8, "max_segments"),
        ('[opt_out]\nstyle = "reply"', 8, "opt_out"),
        ("[values]\nday = 2026-05-07", 9, "values.day"),
        ("[values]\nlist = [1, [nan]]", 9, "values.list[2][1]"),
        ('[values]\n"two words" = 1', 9, "values.two words"),
        ("values = 1", 8, "values"),
        ('[window]\nfrom = "09:00"', 8, "window.to"),
        ('[window]\nfrom = "20:00"\nto = "20:00"', 10, "window.to"),
        ('[window]\nfrom = "9:00"\nto = "20:00"', 9, "window.from"),
        ('[window]\nfrom = "24:00"\nto = "24:00"', 9, "window.from"),
        ('[window]\nfrom = "09:00"\nto = "24:01"', 10, "window.to"),
        ('[window]\nfrom = "09:00"\nto = 20:00:30', 10, "window.to"),
        ('[window]\nfrom = "09:00"\nto = 20', 10, "window.to"),
        ('priority = "high"', 8, "priority"),
        ("weight = 0", 8, "weight"),
        ("weight = 101", 8, "weight"),
        ("window = 1", 8, "window"),
        ('[audience]\nwher = { field = "postcode", has = true }', 9, "audience.wher"),
        ('[audience.where]\nfield = "postcod"\nhas = true', 9, "audience.where.field"),
        ('[[audience.where.any]]\nfield = "title"\nhas = 1', 10, "audience.where.any[1].has"),
    ],
)
def test_an_addition_is_blamed_on_its_own_line(addition: str, line: int, key: str) -> None:
    assert (line, key) in found(EMAIL + addition)


@pytest.mark.parametrize(
    "key", ["name", "controller", "channel", "purpose", "template", "max_recipients", "subject"]
)
def test_a_missing_key_is_named(key: str) -> None:
    text = "\n".join(line for line in EMAIL.splitlines() if not line.startswith(f"{key} "))
    (error,) = errors_of(text)
    assert (error.line, error.key) == (None, key)
    assert "is missing" in error.problem


@pytest.mark.parametrize("key", ["subject", "preheader", "text_template", "layout"])
def test_keys_of_email_are_refused_for_sms(key: str) -> None:
    (error,) = [error for error in errors_of(SMS + f'{key} = "spring.txt"') if error.key == key]
    assert "for email only" in error.problem


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    (error,) = errors_of(EMAIL + 'text_templat = "spring.txt"')
    assert error.remedy == "Did you mean `text_template`?"
    assert str(error).startswith(f"{PATH}:8: text_templat: ")


def test_a_wrong_word_is_answered_with_all_the_right_ones() -> None:
    (error,) = errors_of(EMAIL.replace('"email"', '"fax"'))
    assert "email, sms" in error.problem


def test_a_naive_time_is_answered_with_the_remedy() -> None:
    (error,) = errors_of(EMAIL + "expires_at = 2026-12-01T20:00:00")
    assert "2026-12-01T20:00:00Z" in error.remedy


def test_all_errors_are_reported_by_line_and_other_files_last() -> None:
    source = '[audience.source]\nurl_env = "CRM"\nquery = "bad.sql"\naddress = "email"\n'
    text = "nam = 1\n" + EMAIL.replace("10000", "0") + source
    files = {**FILES, "bad.sql": "SELECT 1;\nDELETE FROM people"}
    with pytest.raises(FileErrors) as caught:
        parse_campaign(text, files, PATH)
    assert [(error.path.name, error.line) for error in caught.value.errors] == [
        ("spring.toml", 1),
        ("spring.toml", 8),
        ("bad.sql", 1),
    ]
    assert all(str(error) in str(caught.value) for error in caught.value.errors)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        (EMAIL + "oops", 8, ""),
        (EMAIL + "a = \nb = 1", 8, "column 5"),
        (EMAIL.replace("channel =", "name ="), 3, "column 15"),
        ("a = " + "1" * 5000, 1, "limit"),
        ('a = """\n\n', 3, ""),
        ("a = 1\r\nb = = 2", 2, "column 5"),
    ],
)
def test_unreadable_toml_is_blamed_on_line_and_column(text: str, line: int, column: str) -> None:
    (error,) = errors_of(text)
    assert error.line == line
    assert "not readable TOML" in error.problem
    assert column in error.problem


@pytest.mark.parametrize("text", ["a = 1\na = 2", "[a]\n[a]", "a = {b = 1, b = 2}"])
def test_a_key_that_stands_twice_is_called_so(text: str) -> None:
    (error,) = errors_of(text)
    assert "twice" in error.remedy


def test_endless_nesting_is_an_error_like_any_other() -> None:
    (error,) = errors_of("a = " + "[" * 100_000)
    assert "nested too deeply" in error.problem


def test_an_endless_file_is_refused() -> None:
    (error,) = errors_of("#" * 1_000_001)
    assert "longer than 1,000,000" in error.problem


@given(st.text(max_size=80))
def test_whatever_the_text_there_is_no_other_exception(text: str) -> None:
    with pytest.raises(FileErrors):
        parse(text)


words = st.sampled_from(
    [line.split(" = ")[0] for line in EMAIL.splitlines()]
    + ["where", "all", "not", "in", "from", "cron", "at", "date", "source", "query", "style"]
)
scalars = st.sampled_from(
    [
        *("1", "nan", "true", '"email"', '"sms"', '"spring.html"', '"09:00"', '"x y"', "1" * 400),
        *("2026-05-07", "2026-05-07T09:00:00Z", "09:00:00", "[]", "{}", "[[]]", "[{}]", "[1]"),
    ]
)
tables = st.sampled_from(["audience", "audience.source", "schedule", "window", "opt_out", "values"])


@given(
    st.dictionaries(words, scalars, max_size=5),
    st.dictionaries(tables, st.dictionaries(words, scalars, max_size=4), max_size=4),
)
def test_whatever_the_values_there_is_no_other_exception(
    top: dict[str, str], sections: dict[str, dict[str, str]]
) -> None:
    lines = {line.split(" = ")[0]: line.split(" = ", 1)[1] for line in EMAIL.splitlines()}
    text = "\n".join(f"{key} = {value}" for key, value in {**lines, **top}.items())
    for name, table in sections.items():
        text += f"\n[{name}]\n" + "\n".join(f"{key} = {value}" for key, value in table.items())
    for error in _errors_or_none(text):
        assert error.line is not None or "missing" in error.problem


def _errors_or_none(text: str) -> tuple[FileError, ...]:
    try:
        parse(text)
    except FileErrors as caught:
        return caught.errors
    return ()


def test_what_was_read_is_pinned_and_reads_the_same_again(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    first = load_campaign(folder / "spring.toml", layouts=tmp_path / "layouts")
    assert first.files.text == EMAIL.replace("\n", "\r\n")
    assert set(first.files.files) == {"spring.html", "layouts:standard"}
    assert first.files.files["spring.html"] == "<p>Hello\r\n</p>"
    pinned = first.files.as_json()
    shutil.rmtree(folder)
    again = parse_campaign(
        pinned["campaign"]["text"], pinned["files"], Path(pinned["campaign"]["name"])
    )
    assert again == first


def test_the_shipped_layout_is_found_in_this_installation(tmp_path: Path) -> None:
    campaign = load_campaign(_folder(tmp_path) / "spring.toml")
    assert campaign.layout is not None
    assert campaign.layout.name == "standard"
    assert "{%" in campaign.layout.text


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (tmp_path / "secret").write_text("SELECT 1")
    (folder / "spring.html").unlink()
    (folder / "spring.html").symlink_to(tmp_path / "secret")
    assert "leads out of the campaign's folder" in _only_problem(folder)
    (folder / "spring.html").unlink()
    (folder / "below").symlink_to(tmp_path)
    _rewrite(folder, "spring.html", "below/secret")
    assert "leads out of the campaign's folder" in _only_problem(folder)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../spring.html", "stay inside"),
        ("a/../../spring.html", "stay inside"),
        ("/etc/passwd", "relative"),
        ("C:/spring.html", "without :"),
        ("a\\spring.html", "with / between"),
        ("layouts:standard", "without :"),
        ("", "the name of a file"),
        (" spring.html", "the name of a file"),
        ("spring\n.html", "the name of a file"),
    ],
)
def test_names_that_no_file_beside_the_campaign_has(name: str, words: str) -> None:
    assert words in flaw_of_name(name)


@pytest.mark.parametrize("name", ["spring.html", "below/spring.html", "Frühling 2.html", "..html"])
def test_names_that_files_have(name: str) -> None:
    assert flaw_of_name(name) == ""


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "spring.html").write_bytes(b"one\ntwo \xff")
    assert "spring.html is not UTF-8 text (line 2)" in _only_problem(folder)
    (folder / "spring.html").write_bytes(b"nul \0")
    assert "NUL" in _only_problem(folder)
    (folder / "spring.html").write_bytes(b"a" * 1_000_001)
    assert "larger than" in _only_problem(folder)
    (folder / "spring.html").unlink()
    assert "There is no file spring.html" in _only_problem(folder)
    (folder / "spring.html").mkdir()
    assert "is not a file" in _only_problem(folder)


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    for name in ("spring.toml", "spring.html"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    campaign = load_campaign(folder / "spring.toml", layouts=tmp_path / "layouts")
    assert campaign.template.text.startswith("<p>")


@pytest.mark.parametrize("content", [None, b"name = '\xff'"])
def test_an_unreadable_campaign_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "spring.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileErrors) as caught:
        load_campaign(path)
    assert str(path) in str(caught.value)


def test_an_unknown_layout_is_answered_with_those_that_ship(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    (folder / "spring.toml").write_text(EMAIL + 'layout = "fancy"')
    with pytest.raises(FileErrors) as caught:
        load_campaign(folder / "spring.toml", layouts=tmp_path / "layouts")
    assert "There are: standard." in str(caught.value)


names = st.text(max_size=5)


@given(st.tuples(names, names, st.dictionaries(names, names, max_size=3)))
def test_the_hash_tells_every_change_of_text(parts: tuple[str, str, dict[str, str]]) -> None:
    name, text, files = parts
    pinned = CampaignFiles(name, text, files)
    assert CampaignFiles("other", text, dict(reversed(files.items()))).content_hash == (
        pinned.content_hash
    )
    assert CampaignFiles(name, text + " ", files).content_hash != pinned.content_hash
    for file, content in files.items():
        moved = {**files, file: "", file + content: ""}
        if moved != files:
            assert CampaignFiles(name, text, moved).content_hash != pinned.content_hash


def _folder(tmp_path: Path) -> Path:
    folder = tmp_path / "campaign"
    folder.mkdir()
    (folder / "spring.toml").write_bytes(EMAIL.replace("\n", "\r\n").encode())
    (folder / "spring.html").write_bytes(b"<p>Hello\r\n</p>")
    (tmp_path / "layouts").mkdir()
    (tmp_path / "layouts/standard.html").write_text(FILES["layouts:standard"])
    return folder


def _rewrite(folder: Path, old: str, new: str) -> None:
    (folder / "spring.toml").write_text(EMAIL.replace(old, new))


def _only_problem(folder: Path) -> str:
    with pytest.raises(FileErrors) as caught:
        load_campaign(folder / "spring.toml", layouts=folder.parent / "layouts")
    (error,) = caught.value.errors
    assert (error.line, error.key) == (6, "template")
    return str(error)
