"""The API for scripts: the same acts as the commands, and the same roles."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from sender import api
from sender.api.acting import command_of
from sender.context import Context
from sender.operators.authority import NotAllowedError
from sender.operators.permissions import ACCESS, access_of
from sender.operators.roles import Role
from sender.store.engine import Store
from sender.vocabulary import Channel, DeliveryState, RunState
from tests.support.campaign_folder import Office, carry_out, open_office
from tests.support.factory import establish
from tests.support.operators import enter
from tests.support.schedule_world import DAILY, SetClock

GUARDED = sorted(
    name
    for name in api.__all__
    if isinstance(access_of(command_of(getattr(api, name)) or "status"), frozenset)
)
ON_ONE = pytest.mark.parametrize("dialect", ["sqlite"])
"""Roles are looked up alike on both databases; tests/integration/test_operators.py shows that."""
PEOPLE = """\
external_ref,email,consent_purpose,consent_channel,consent_notice,consent_at,consent_method,consent_source
1,ann@example.org,campaign-news,email,sign-up-form,2026-05-01,web-form,join page
"""


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Iterator[Office]:
    with open_office(store, tmp_path, people=3, clock=SetClock()) as office:
        with store.write() as session:
            establish(session, "hilltop")
        office.write("people.csv", PEOPLE)
        yield office


@pytest.fixture
def run_id(office: Office) -> int:
    launched = api.prepare_launch(office.context, office.email())
    launched.confirm()
    launched.close()
    api.add_schedule(office.context, office.file(more=DAILY, name="daily"))
    return launched.run_id


def arguments(
    function: Callable[..., Any], context: Context, office: Office, run_id: int
) -> dict[str, Any]:
    """Return what a call about riverside would say, by the names of the parameters.

    There are a run, a schedule and the file of a campaign.
    """
    known = {
        "address": "person1@example.org",
        "at": context.clock.now(),
        "batch_id": 1,
        "because": "the form was pre-ticked",
        "by": ("notice",),
        "context": context,
        "controller": "riverside",
        "definition": office.email(),
        "path": office.file(more=DAILY),
        "purpose": "campaign-news",
        "raw_address": "person1@example.org",
        "run_id": run_id,
        "schedule_id": 1,
        "subject": api.Subject("riverside", Channel.EMAIL, "person1@example.org"),
    }
    return {
        name: known[name]
        for name, one in signature(function).parameters.items()
        if one.default is one.empty or name == "raw_address"
    }


@ON_ONE
@pytest.mark.parametrize("name", GUARDED)
def test_a_role_elsewhere_or_another_role_opens_nothing(
    office: Office, run_id: int, name: str
) -> None:
    function = getattr(api, name)
    officer = enter(office.context, "olive")
    access = access_of(command_of(function) or "")
    assert isinstance(access, frozenset)
    elsewhere = enter(officer, "ben", at=("hilltop",))
    others = [enter(officer, "cara", *rest)] if (rest := set(Role) - access) else []
    for acting in (office.context, elsewhere, *others):
        with pytest.raises(NotAllowedError):
            function(**arguments(function, replace(acting), office, run_id))


@ON_ONE
@pytest.mark.parametrize("name", GUARDED)
def test_the_role_of_the_command_opens_it(office: Office, run_id: int, name: str) -> None:
    """It may fail for other reasons: what it is about is not there."""
    function = getattr(api, name)
    access = access_of(command_of(function) or "")
    assert isinstance(access, frozenset)
    acting = enter(enter(office.context, "olive"), "dan", *access, at=("riverside",))
    try:
        done = function(**arguments(function, acting, office, run_id))
    except NotAllowedError as error:
        pytest.fail(f"{name}: {error}")
    except api.SenderError:
        return
    if isinstance(done, api.Launch):
        done.close()


def test_a_run_is_paused_amended_resumed_and_cancelled(office: Office, run_id: int) -> None:
    context = office.context
    assert api.pause(context, run_id) is RunState.PAUSED
    office.write("letter.html", "<p>Come along on Sunday.</p>\n")
    changed = office.email()
    assert "+<p>Come along on Sunday.</p>" in api.preview_amendment(context, run_id, changed)
    assert api.amend(context, run_id, changed).version == 2
    report = api.resume_run(context, run_id)
    assert report.counts.by_state == {DeliveryState.ACCEPTED: 3}
    assert api.report_run(context, run_id) == report
    another = api.prepare_launch(context, office.email(name="another"))
    another.confirm()
    another.close()
    assert api.cancel(context, another.run_id) is RunState.CANCELLED


def test_an_import_counts_once_another_operator_approved_it(office: Office) -> None:
    olive = enter(office.context, "olive")
    ben = enter(olive, "ben", Role.APPROVE, Role.DATA, at=("riverside",))
    report = api.import_contacts(olive, "riverside", office.folder / "people.csv")
    assert report.batch_id is not None
    assert api.look_at_batch(ben, "riverside", report.batch_id).consents == 1
    with pytest.raises(api.SenderError, match="olive"):
        api.approve_batch(olive, "riverside", report.batch_id)
    assert api.approve_batch(ben, "riverside", report.batch_id) == 1
    subject = api.Subject("riverside", Channel.EMAIL, "ann@example.org")
    then = api.decision_at(ben, subject, "campaign-news", office.context.clock.now())
    assert then.decision.allowed
    assert api.revoke_batch(ben, "riverside", report.batch_id, because="pre-ticked") == 1
    assert api.explain(ben, office.email(), "ann@example.org")[0].decision.allowed is False


def test_a_list_of_opt_outs_blocks(office: Office) -> None:
    path = office.write("gone.csv", "email\nperson1@example.org\n")
    report = api.import_opt_outs(office.context, "riverside", path)
    assert report.counts.as_dict()["created"] == 1
    run_id, _ = carry_out(api.prepare_launch(office.context, office.email()))
    assert office.counts(run_id).by_state[DeliveryState.ACCEPTED] == 2


def test_evidence_is_a_record_a_document_and_a_page(office: Office) -> None:
    carry_out(api.prepare_launch(office.context, office.email()))
    subject = api.Subject("riverside", Channel.EMAIL, "person1@example.org")
    found = api.evidence_on(office.context, subject)
    assert len(found.messages) == 1
    document = api.evidence_document(office.context, subject)
    assert [one["message"] for one in document["messages"]] == [found.messages[0].message]
    assert len(document["consent_records"]) == 1
    assert "person1@example.org" in api.evidence_page(office.context, subject)


def test_a_schedule_is_resumed_by_whoever_may_launch(office: Office) -> None:
    schedule_id = api.add_schedule(office.context, office.file(more=DAILY))
    olive = enter(office.context, "olive")
    ben = enter(olive, "ben", Role.PREPARE, at=("riverside",))
    api.pause_schedule(ben, schedule_id)
    with pytest.raises(NotAllowedError, match="launch"):
        api.resume_schedule(ben, schedule_id)
    api.resume_schedule(olive, schedule_id)
    assert [one.schedule_id for one in api.list_schedules(ben)] == [schedule_id]


def test_every_role_of_the_table_is_one(office: Office) -> None:
    del office
    assert all(access <= set(Role) for access in ACCESS.values() if isinstance(access, frozenset))
