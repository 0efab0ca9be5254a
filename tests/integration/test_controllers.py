"""Controller files: what they may say, and what becomes of them in the database."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.controllers.accounts_file import OPTIONS
from sender.controllers.declarations import OptOutStatement, declare_opt_outs, freeze
from sender.controllers.file import ControllerFile, read_controller_file
from sender.controllers.lookup import (
    current_version,
    find_controller,
    freshness_rows,
    identities,
    latest_declaration,
    latest_freeze,
    purposes,
)
from sender.controllers.registry import Change, add_controller, update_controller
from sender.controllers.retention_policy import load_limitation
from sender.errors import FileError, NotFoundError, RefusedError
from sender.store.audit import AuditEvent
from sender.store.controllers import ProviderAccount, RetentionPolicy
from sender.store.engine import Store
from sender.toml.source import FileErrors
from sender.vocabulary import Channel, OptOutStyle, ProviderName
from tests.support.command_line import CONTROLLER_FILE
from tests.support.factory import NOW, OPERATOR
from tests.support.tracked import ROOT


def read(folder: Path, text: str) -> tuple[ControllerFile, Path]:
    path = folder / "riverside.toml"
    path.write_text(text, encoding="utf-8")
    return read_controller_file(path), path


def changed(old: str, new: str) -> str:
    assert old in CONTROLLER_FILE
    return CONTROLLER_FILE.replace(old, new, 1)


def add(store: Store, folder: Path, text: str = CONTROLLER_FILE) -> Change:
    with store.write() as session:
        return add_controller(session, *read(folder, text), operator=OPERATOR, now=NOW)


def update(store: Store, folder: Path, text: str) -> Change:
    later = NOW + timedelta(days=1)
    with store.write() as session:
        return update_controller(session, *read(folder, text), operator=OPERATOR, now=later)


def test_a_controller_comes_with_all_that_its_file_says(store: Store, tmp_path: Path) -> None:
    assert add(store, tmp_path).version == 1
    with store.read() as session:
        controller = find_controller(session, "riverside")
        version = current_version(session, controller.id)
        assert version.name == "Riverside Association"
        assert version.promoter_name == "Pat Promoter"
        assert [row.slug for row in purposes(session, controller.id)] == ["campaign-news"]
        found = {row.channel: row for row in identities(session, controller.id)}
        assert found[Channel.SMS].opt_out_style is OptOutStyle.REPLY
        assert found[Channel.EMAIL].opt_out_style is None
        account = session.get_one(ProviderAccount, found[Channel.SMS].provider_account_id)
        assert (account.name, account.provider) == ("local-outbox", ProviderName.OUTBOX)
        actions = session.scalars(
            select(AuditEvent.action).where(AuditEvent.controller_id == controller.id)
        ).all()
        assert actions == ["controller.add"]


def test_a_controller_is_added_once(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path)
    with pytest.raises(RefusedError, match="there already"):
        add(store, tmp_path)


def test_an_unknown_controller_is_not_updated_and_the_nearest_is_named(
    store: Store, tmp_path: Path
) -> None:
    add(store, tmp_path)
    with pytest.raises(NotFoundError) as refused:
        update(store, tmp_path, changed('"riverside"', '"riversidde"'))
    assert refused.value.remedy == "Did you mean riverside?"


def test_the_same_file_again_changes_nothing(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path)
    change = update(store, tmp_path, CONTROLLER_FILE)
    assert (change.version, change.done, change.kept) == (1, (), ())


def test_an_update_is_a_new_version_and_the_old_one_stays(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path)
    change = update(store, tmp_path, changed("1 High Street", "3 Low Street"))
    assert change.version == 2
    assert change.done == ("Version 2: postal_address changed.",)
    with store.read() as session:
        controller = find_controller(session, "riverside")
        assert current_version(session, controller.id).postal_address.startswith("3 Low Street")


def test_a_changed_identity_retires_the_old_one_and_deletes_nothing(
    store: Store, tmp_path: Path
) -> None:
    add(store, tmp_path)
    update(store, tmp_path, changed('"+447700900001"', '"+447700900002"'))
    with store.read() as session:
        controller = find_controller(session, "riverside")
        texts = [
            row
            for row in identities(session, controller.id, retired=True)
            if row.channel is Channel.SMS
        ]
        assert [(row.address, row.retired_at is None) for row in texts] == [
            ("+447700900001", False),
            ("+447700900002", True),
        ]


def test_what_the_file_no_longer_names_is_retired_or_kept(store: Store, tmp_path: Path) -> None:
    freshness = "\n[[freshness]]\nchannel = 'sms'\nwarn_months = 9\nhold_months = 12\n"
    add(store, tmp_path, CONTROLLER_FILE + freshness)
    without_texts = CONTROLLER_FILE[: CONTROLLER_FILE.index('[[identity]]\nchannel = "sms"')]
    without_purpose = without_texts.replace(
        '[[purpose]]\nslug = "campaign-news"\ntitle = "Campaign news"\n', ""
    )
    change = update(store, tmp_path, without_purpose)
    assert change.done == ("Sender identity texts (sms) retired.",)
    assert change.kept == (
        "Purpose campaign-news is not in the file, and stays.",
        "Freshness of sms, all purposes is not in the file, and stays.",
    )
    with store.read() as session:
        controller = find_controller(session, "riverside")
        assert [row.name for row in identities(session, controller.id)] == ["office"]
        assert [row.hold_months for row in freshness_rows(session, controller.id)] == [12]


def test_a_stricter_freshness_is_a_new_row(store: Store, tmp_path: Path) -> None:
    policy = "\n[[freshness]]\nwarn_months = 9\nhold_months = {}\n"
    add(store, tmp_path, CONTROLLER_FILE + policy.format(12))
    update(store, tmp_path, CONTROLLER_FILE + policy.format(10))
    with store.read() as session:
        controller = find_controller(session, "riverside")
        assert [row.hold_months for row in freshness_rows(session, controller.id)] == [10]


def test_how_long_evidence_is_kept_is_as_the_file_says_now(store: Store, tmp_path: Path) -> None:
    said = "\n[retention]\nlimitation_years = {}\n"
    add(store, tmp_path, CONTROLLER_FILE + said.format(10))
    kept = "Retention: what shows why messages were sent is kept"
    for file, done in (
        (said.format(10), ()),
        (said.format(8), (f"{kept} 8 years.",)),
        ("", (f"{kept} as long as the installation says.",)),
        ("", ()),
    ):
        assert update(store, tmp_path, CONTROLLER_FILE + file).done == done
    with store.read() as session:
        controller = find_controller(session, "riverside")
        assert load_limitation(session, 6).of_controller == {controller.id: 6}
        rows = session.scalars(select(RetentionPolicy.limitation_years)).all()
        assert rows == [10, 8, None]
    for years in (0, 31, '"six"'):
        with pytest.raises(FileErrors, match=r"retention\.limitation_years"):
            update(store, tmp_path, CONTROLLER_FILE + said.format(years))


def test_an_account_can_be_used_by_another_controller_but_not_become_another_provider(
    store: Store, tmp_path: Path
) -> None:
    add(store, tmp_path)
    shared = CONTROLLER_FILE.replace('"riverside"', '"hillside"').replace(
        '[[account]]\nname = "local-outbox"\nprovider = "outbox"\n', ""
    )
    add(store, tmp_path, shared)
    with pytest.raises(FileError, match="provider outbox") as refused:
        update(store, tmp_path, changed('provider = "outbox"', 'provider = "ses"'))
    assert (refused.value.line, refused.value.key) == (18, "account[1].provider")


def test_an_identity_needs_an_account_that_is_there(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileError) as refused:
        add(store, tmp_path, changed('account = "local-outbox"', 'account = "lokal"'))
    assert (refused.value.line, refused.value.key) == (25, "identity[1].account")
    with store.read() as session, pytest.raises(NotFoundError):
        find_controller(session, "riverside")


def test_a_freeze_and_a_declaration_are_signed(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path)
    with store.write() as session:
        freeze(session, "riverside", reason="Merged", operator=OPERATOR, now=NOW)
        declare_opt_outs(
            session,
            "riverside",
            statement=OptOutStatement.NONE_EXIST,
            operator=OPERATOR,
            now=NOW,
        )
    with store.read() as session:
        controller = find_controller(session, "riverside")
        frozen = latest_freeze(session, controller.id)
        declared = latest_declaration(session, controller.id)
        assert frozen is not None
        assert (frozen.frozen_at, frozen.reason, frozen.operator) == (NOW, "Merged", OPERATOR)
        assert declared is not None
        assert (declared.statement, declared.operator) == ("none_exist", OPERATOR)


def test_imported_is_not_signed_where_nothing_was(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path)
    with pytest.raises(RefusedError, match="Nothing was ever imported"), store.write() as session:
        declare_opt_outs(
            session, "riverside", statement=OptOutStatement.IMPORTED, operator=OPERATOR, now=NOW
        )


def test_a_freeze_needs_a_reason(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path)
    with pytest.raises(RefusedError, match="reason"), store.write() as session:
        freeze(session, "riverside", reason=" ", operator=OPERATOR, now=NOW)


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "problem"),
    [
        ('"riverside"', '"River Side"', 1, "slug", "not a slug"),
        ('"Riverside Association"', '"  "', 2, "name", "must not be empty"),
        ('"Riverside Association"', "7", 2, "name", "must be text"),
        ('"Riverside Association"', '"River\\u0007side"', 2, "name", "cannot be shown"),
        ('"association"', '"club"', 3, "kind", "must be one of"),
        ('"1 High Street, Riverside RV1 1AA"', '"\\n"', 4, "postal_address", "not be empty"),
        ("office@riverside", "office", 5, "contact_email", "not an e-mail address"),
        ("https://river", "http://river", 6, "privacy_notice_url", "https"),
        ("[imprint]", "time_zone = 'Mars/Base'\n[imprint]", 8, "time_zone", "not a time zone"),
        ("[imprint]", "relatives = ['riverside']\n[imprint]", 8, "relatives", "itself"),
        ("[imprint]", "contact_fone = '1'\n[imprint]", 8, "contact_fone", "contact_phone"),
        ("[imprint]", "contact_phone = '020 7946'\n[imprint]", 8, "contact_phone", "country code"),
        ('"campaign-news"', '"Campaign News"', 13, "purpose[1].slug", "not a purpose"),
        ('"outbox"', '"pigeon"', 18, "account[1].provider", "must be one of"),
        ('"outbox"', '"outbox"\noptions.host = "x"', 19, "account[1].options", "no option of"),
        (
            '"outbox"',
            '"ses"\nsecret_variable = "wJalrXUt/K7"',
            19,
            "account[1].secret_variable",
            "name of an environment variable",
        ),
        (
            '"outbox"',
            '"ses"\nendpoint_url = "http://127.0.0.1.evil.org"',
            19,
            "account[1].endpoint_url",
            "full https address",
        ),
        ('"outbox"', '"outbox"\nconcurrency = 0', 19, "account[1].concurrency", "at least 1"),
        ('"+447700900001"', '"07700900001"', 30, "identity[2].address", "no SMS sender"),
        ('"+447700900001"', '"RIVERSIDENEWS"', 30, "identity[2].address", "no SMS sender"),
        (
            '"+447700900001"',
            '"RIVERSIDE"\nopt_out_style = "reply"',
            31,
            "identity[2].opt_out_style",
            "nobody can reply to a name",
        ),
        (
            'display_name = "Riverside"',
            'display_name = "Riverside"\nreply_to = "a@riverside.example.org"',
            32,
            "identity[2].reply_to",
            "e-mail only",
        ),
        ('name = "texts"', 'name = "texts"\ncolour = "red"', 30, "identity[2].colour", "not a key"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_key(
    *, tmp_path: Path, old: str, new: str, line: int, key: str, problem: str
) -> None:
    with pytest.raises(FileErrors) as refused:
        read(tmp_path, changed(old, new))
    found = [(error.line, error.key) for error in refused.value.errors]
    assert found == [(line, key)]
    assert problem in str(refused.value)


@pytest.mark.parametrize(
    ("old", "problem"),
    [
        ('contact_email = "office@riverside.example.org"\n', "contact_email: is missing"),
        (
            CONTROLLER_FILE[CONTROLLER_FILE.index("[imprint]") : CONTROLLER_FILE.index("[[pur")],
            "imprint: is missing: e-mail of the kind association must name its promoter",
        ),
    ],
)
def test_a_missing_key_is_told(tmp_path: Path, old: str, problem: str) -> None:
    with pytest.raises(FileErrors, match=problem):
        read(tmp_path, changed(old, ""))


def test_a_charity_needs_no_imprint(tmp_path: Path) -> None:
    imprint = CONTROLLER_FILE[CONTROLLER_FILE.index("[imprint]") : CONTROLLER_FILE.index("[[purp")]
    text = CONTROLLER_FILE.replace(imprint, "").replace('"association"', '"charity"')
    assert read(tmp_path, text)[0].imprint is None


def test_the_same_thing_twice_is_a_mistake(tmp_path: Path) -> None:
    twice = CONTROLLER_FILE + '[[purpose]]\nslug = "campaign-news"\ntitle = "Again"\n'
    with pytest.raises(FileErrors, match="has campaign-news twice"):
        read(tmp_path, twice)


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = changed('"association"', '"club"').replace("https://river", "http://river")
    with pytest.raises(FileErrors) as refused:
        read(tmp_path, text)
    assert [error.line for error in refused.value.errors] == [3, 6]


@pytest.mark.parametrize(
    "url", ["https://email.eu-west-2.amazonaws.com", "http://127.0.0.1:9001", "http://localhost"]
)
def test_an_endpoint_is_encrypted_or_on_this_machine(tmp_path: Path, url: str) -> None:
    file, _ = read(tmp_path, changed('"outbox"', f'"ses"\nendpoint_url = "{url}"'))
    assert file.accounts[0].stored() == {"endpoint_url": url}


def test_every_option_of_the_docs_is_known_and_no_other() -> None:
    docs = (ROOT / "docs/providers.md").read_text(encoding="utf-8")
    for provider, known in OPTIONS.items():
        [section] = re.findall(rf"^## {provider}$(.*?)(?=^## |\Z)", docs, re.DOTALL | re.MULTILINE)
        table = section.partition("| option |")[2].partition("\n\n")[0]
        assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == known, provider


def test_a_name_as_sender_gets_a_link_by_itself(tmp_path: Path) -> None:
    file, _ = read(tmp_path, changed('"+447700900001"', '"RIVERSIDE"'))
    assert file.identities[1].opt_out_style is OptOutStyle.LINK


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"slug = ", "not readable TOML"), (b'name = "\xff"', "not UTF-8"), (None, "cannot be read")],
)
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "broken.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((FileError, FileErrors), match=f"broken.toml.*{problem}"):
        read_controller_file(path)
