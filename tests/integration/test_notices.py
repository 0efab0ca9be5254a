"""Notices: a wording counts for those bodies only that it names in its own words."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sender.consent.notices import (
    NoticeChange,
    add_notice,
    find_notice,
    list_notices,
    require_valid_consent,
)
from sender.controllers.lookup import find_controller
from sender.errors import FileError, NotFoundError, RefusedError
from sender.store.consents import Notice
from sender.store.controllers import Controller
from sender.store.engine import Store
from sender.toml.source import FileErrors
from sender.vocabulary import Channel
from tests.support.command_line import NOTICE_FILE
from tests.support.factory import (
    NOW,
    OPERATOR,
    add_controller,
    add_controller_version,
    add_purpose,
)


@pytest.fixture
def riverside(store: Store) -> Controller:
    with store.write() as session:
        controller = add_controller(session, "riverside")
        add_controller_version(session, controller)
        add_purpose(session, controller, "campaign-news")
    return controller


def add(
    store: Store, folder: Path, text: str = NOTICE_FILE, *, now: datetime = NOW
) -> NoticeChange:
    path = folder / "notice.toml"
    path.write_text(text, encoding="utf-8")
    with store.write() as session:
        return add_notice(session, path, operator=OPERATOR, now=now)


def changed(old: str, new: str) -> str:
    assert old in NOTICE_FILE
    return NOTICE_FILE.replace(old, new, 1)


def test_a_new_wording_is_a_new_version_and_the_same_one_is_none(
    store: Store, riverside: Controller, tmp_path: Path
) -> None:
    assert add(store, tmp_path) == NoticeChange("sign-up-form", 1, changed=True)
    assert add(store, tmp_path) == NoticeChange("sign-up-form", 1, changed=False)
    other = changed("by e-mail", "at times, by e-mail")
    assert add(store, tmp_path, other) == NoticeChange("sign-up-form", 2, changed=True)
    with store.read() as session:
        versions = list_notices(session, riverside.id)
        assert [row.version for row in versions] == [1, 2]
        assert "at times" in versions[1].wording
        assert find_notice(session, riverside, "sign-up-form").version == 2
        assert find_notice(session, riverside, "sign-up-form@1").version == 1


def test_a_date_alone_is_its_first_moment_where_the_controller_is(
    store: Store, riverside: Controller, tmp_path: Path
) -> None:
    add(store, tmp_path, changed("2023-01-01", "2023-06-01"))
    with store.read() as session:
        shown_from = find_notice(session, riverside, "sign-up-form").shown_from
    assert shown_from == datetime(2023, 5, 31, 23, tzinfo=UTC)


@pytest.mark.usefixtures("riverside")
def test_a_body_that_the_words_do_not_name_is_refused(store: Store, tmp_path: Path) -> None:
    with store.write() as session:
        add_controller_version(session, add_controller(session, "hillside"))
    with pytest.raises(FileError, match='does not name "Hillside Association"') as refused:
        add(store, tmp_path, changed('["riverside"]', '["riverside", "hillside"]'))
    assert (refused.value.line, refused.value.key) == (6, "controllers[2]")
    assert "¶55" in refused.value.remedy


@pytest.mark.usefixtures("riverside")
@pytest.mark.parametrize("wording", ["Yes, RIVERSIDE  ASSOCIATION may", "Yes, Riverside\\nAssoc"])
def test_case_and_line_breaks_do_not_hide_a_name(
    store: Store, tmp_path: Path, wording: str
) -> None:
    text = changed("Yes, Riverside Assoc", wording.replace("ASSOCIATION may", "Assoc"))
    assert add(store, tmp_path, text).changed


@pytest.mark.usefixtures("riverside")
def test_the_words_may_stand_in_a_file_beside(store: Store, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("I say yes to Riverside Association.\n", encoding="utf-8")
    wording = NOTICE_FILE.splitlines()[2]
    assert add(store, tmp_path, changed(wording, 'wording_file = "words.txt"')).changed


@pytest.mark.usefixtures("riverside")
@pytest.mark.parametrize(
    ("old", "new", "line", "key", "problem"),
    [
        ('"riverside"\nslug', '"riversid"\nslug', 1, "controller", "no controller riversid"),
        ('["campaign-news"]', '["campaign-new"]', 5, "purposes[1]", "no purpose campaign-new"),
        ('["riverside"]', '["riversid"]', 6, "controllers[1]", "no controller riversid"),
        ('["riverside"]', "[]", 6, "controllers", "at least 1"),
        ('["email", "sms"]', '["fax"]', 4, "channels[1]", "must be one of"),
        ('"Yes, Riv', '"""   """ # ', 3, "wording", "holds no words"),
        ("= 2023-01-01", "= 2023-01-01\nshown_until = 2022-01-01", 9, "shown_until", "later than"),
        ("= 2023-01-01", '= 2023-01-01\nwording_file = "w"', 9, "wording_file", "not both"),
        ("= 2023-01-01", '= 2023-01-01\nwording_file = "../w"', 9, "wording_file", "not both"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_key(
    *, store: Store, tmp_path: Path, old: str, new: str, line: int, key: str, problem: str
) -> None:
    with pytest.raises((FileError, FileErrors), match=problem) as refused:
        add(store, tmp_path, changed(old, new))
    error = refused.value
    first = error.errors[0] if isinstance(error, FileErrors) else error
    assert isinstance(first, FileError)
    assert (first.line, first.key) == (line, key)


@pytest.mark.usefixtures("riverside")
def test_a_wording_file_elsewhere_is_refused(store: Store, tmp_path: Path) -> None:
    wording = NOTICE_FILE.splitlines()[2]
    with pytest.raises(FileErrors, match="must lie beside"):
        add(store, tmp_path, changed(wording, 'wording_file = "../words.txt"'))


def notice(store: Store, folder: Path, controller: Controller, text: str = NOTICE_FILE) -> Notice:
    add(store, folder, text)
    with store.read() as session:
        return find_notice(session, controller, "sign-up-form")


def test_a_yes_that_the_wording_asked_for_is_taken(
    store: Store, riverside: Controller, tmp_path: Path
) -> None:
    seen = notice(store, tmp_path, riverside)
    require_valid_consent(seen, riverside, Channel.SMS, "campaign-news", NOW)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('["email", "sms"]', '["sms"]', "does not name the channel email"),
        ("shown_from", "pre_ticked = true\nshown_from", "ticked beforehand"),
        ("shown_from", "bundled = true\nshown_from", "condition of something else"),
        ("2023-01-01", "2099-01-01", "not shown yet"),
        ("2023-01-01", "2023-01-01\nshown_until = 2024-01-01", "no longer shown"),
    ],
)
def test_a_yes_that_the_wording_cannot_have_got_is_refused(
    *, store: Store, riverside: Controller, tmp_path: Path, old: str, new: str, problem: str
) -> None:
    seen = notice(store, tmp_path, riverside, changed(old, new))
    with pytest.raises(RefusedError, match=problem):
        require_valid_consent(seen, riverside, Channel.EMAIL, "campaign-news", NOW)


def test_a_yes_to_another_purpose_or_body_is_refused(
    store: Store, riverside: Controller, tmp_path: Path
) -> None:
    seen = notice(store, tmp_path, riverside)
    with pytest.raises(RefusedError, match="purpose fundraising"):
        require_valid_consent(seen, riverside, Channel.EMAIL, "fundraising", NOW)
    with store.write() as session:
        hillside = add_controller(session, "hillside")
    with pytest.raises(RefusedError, match="does not name hillside"):
        require_valid_consent(seen, hillside, Channel.EMAIL, "campaign-news", NOW)


def test_the_last_moment_of_a_wording_is_before_its_end(
    store: Store, riverside: Controller, tmp_path: Path
) -> None:
    text = changed("2023-01-01", "2023-01-01\nshown_until = 2024-01-01")
    seen = notice(store, tmp_path, riverside, text)
    end = datetime(2024, 1, 1, tzinfo=UTC)
    just_before = end - timedelta(microseconds=1)
    require_valid_consent(seen, riverside, Channel.EMAIL, "campaign-news", just_before)
    with pytest.raises(RefusedError):
        require_valid_consent(seen, riverside, Channel.EMAIL, "campaign-news", end)


def test_a_notice_of_another_controller_is_not_found(
    store: Store, riverside: Controller, tmp_path: Path
) -> None:
    add(store, tmp_path)
    with store.write() as session:
        hillside = add_controller(session, "hillside")
    with store.read() as session:
        assert find_controller(session, "riverside").id == riverside.id
        with pytest.raises(NotFoundError):
            find_notice(session, hillside, "sign-up-form")
        with pytest.raises(NotFoundError) as refused:
            find_notice(session, riverside, "signup-form")
    assert refused.value.remedy == "Did you mean sign-up-form?"


UNSIGNED = NOTICE_FILE.replace('signed_off_by = "Pat Promoter"\n', "")
"""NOW is 10 in the morning of 7 May 2026 where the controller is."""


@pytest.mark.usefixtures("riverside")
@pytest.mark.parametrize(
    ("shown_from", "is_vouched_for"),
    [
        ("2023-01-01", False),
        ("2026-05-06", False),
        ("2026-05-06T22:59:59Z", False),
        ("2026-05-06T23:00:00Z", True),
        ("2026-05-07", True),
        ("2026-05-08", True),
    ],
)
def test_somebody_answers_for_a_wording_of_before_today(
    *, store: Store, tmp_path: Path, shown_from: str, is_vouched_for: bool
) -> None:
    text = UNSIGNED.replace("2023-01-01", shown_from)
    if is_vouched_for:
        assert add(store, tmp_path, text).changed
        return
    with pytest.raises(FileError, match="nobody answers for it") as refused:
        add(store, tmp_path, text)
    assert (refused.value.line, refused.value.key) == (8, "shown_from")
    assert "signed_off_by" in refused.value.remedy
    assert add(store, tmp_path, text + 'signed_off_by = "Pat"\n').version == 1


@pytest.mark.usefixtures("riverside")
def test_what_was_recorded_on_its_day_stays_as_it_is_and_goes_back_on_nobodys_word(
    store: Store, tmp_path: Path
) -> None:
    text = UNSIGNED.replace("2023-01-01", "2026-05-07")
    add(store, tmp_path, text)
    assert not add(store, tmp_path, text, now=NOW + timedelta(days=90)).changed
    with pytest.raises(FileError, match="nobody answers for it"):
        add(store, tmp_path, text.replace("by e-mail", "by email"), now=NOW + timedelta(days=90))
    with pytest.raises(FileError, match="nobody answers for it"):
        add(store, tmp_path, text.replace("2026-05-07", "2026-05-01"))
