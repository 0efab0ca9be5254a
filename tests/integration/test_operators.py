"""Operators: tokens, roles, and that nobody is locked out or slips through."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from sender.campaigns.launch import prepare_launch
from sender.campaigns.leaving import revoke
from sender.campaigns.schedule_desk import add_schedule, resume_schedule
from sender.campaigns.schedule_state import hold
from sender.campaigns.scheduling import tick
from sender.errors import NotFoundError, RefusedError, UsageError
from sender.operators.authentication import authenticated, open_as_operator
from sender.operators.authority import NotAllowedError, require
from sender.operators.permissions import Call, require_access
from sender.operators.registry import add_operator, list_operators
from sender.operators.roles import Role
from sender.store.audit import AuditEvent
from sender.store.campaigns import Run
from sender.store.engine import Store
from sender.store.operators import Operator
from sender.store.schedules import Schedule, ScheduleOccurrence
from sender.vocabulary import OccurrenceState, ScheduleState
from tests.support.campaign_folder import Office, carry_out, open_office, settings_for
from tests.support.factory import HASH_KEY, OPERATOR, add_body, establish
from tests.support.operators import enter, with_token
from tests.support.schedule_world import DAILY, ScheduleDesk, SetClock, at


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Iterator[Office]:
    with open_office(store, tmp_path, people=3, clock=SetClock()) as office:
        with store.write() as session:
            establish(session, "hilltop")
        yield office


def id_of(office: Office) -> int:
    return office.organisation.id


def test_without_operators_everybody_may_do_everything(office: Office) -> None:
    context = authenticated(office.context)
    assert (context.operator, context.operator_id) == (OPERATOR, None)
    for role in Role:
        require(context, role)


def test_a_token_proves_who_acts_whatever_name_is_given_beside_it(office: Office) -> None:
    olive = enter(office.context, "olive")
    assert (olive.operator, olive.operator_id is not None) == ("olive", True)
    require(olive, Role.LAUNCH)


def test_the_token_itself_is_kept_nowhere(office: Office) -> None:
    token = add_operator(office.context, "olive", [Role.OFFICER])
    with office.store.read() as session:
        row = session.scalars(select(Operator)).one()
        audit = session.scalars(select(AuditEvent).where(AuditEvent.action == "operator.add")).one()
    assert token.encode() not in row.token_hash
    assert len(row.token_hash) == 32
    assert token not in str(audit.details)
    assert token != add_operator(with_token(office.context, token), "ben", [Role.DATA])


def test_once_there_is_one_nobody_acts_without_a_token(office: Office) -> None:
    enter(office.context, "olive")
    with pytest.raises(NotAllowedError, match="SENDER_OPERATOR_TOKEN"):
        require(authenticated(office.context), Role.PREPARE, id_of(office))


def test_a_process_without_a_token_is_marked_as_a_service(office: Office) -> None:
    enter(office.context, "olive")
    service = authenticated(office.context)
    assert (service.operator, service.operator_id) == (f"service:{OPERATOR}", None)


def test_a_services_name_fits_into_the_audit_trail(office: Office) -> None:
    enter(office.context, "olive")
    service = authenticated(replace(office.context, operator="x" * 200))
    assert (len(service.operator), service.operator[:9]) == (200, "service:x")


@pytest.mark.parametrize("token", ["sender-made-up", "x"])
def test_a_token_that_is_nobodys_is_refused_also_before_there_are_operators(
    office: Office, token: str
) -> None:
    with pytest.raises(NotAllowedError, match="nobody's token"):
        with_token(office.context, token)


def test_a_role_holds_at_the_controllers_that_it_was_given_for(office: Office) -> None:
    olive = enter(office.context, "olive")
    ben = enter(olive, "ben", Role.LAUNCH, at=("riverside",))
    require(ben, Role.LAUNCH, id_of(office))
    for role, controller_id in (
        (Role.LAUNCH, id_of(office) + 1),
        (Role.LAUNCH, None),
        (Role.APPROVE, id_of(office)),
    ):
        with pytest.raises(NotAllowedError, match="ben may not do this"):
            require(ben, role, controller_id)


def test_the_first_operator_can_add_the_others(office: Office) -> None:
    for roles, where in (([Role.LAUNCH], ()), ([Role.OFFICER], ("riverside",))):
        with pytest.raises(RefusedError, match="first operator"):
            add_operator(office.context, "olive", roles, where)
    enter(office.context, "olive", Role.OFFICER)


def test_only_an_officer_at_all_controllers_adds_and_revokes(office: Office) -> None:
    olive = enter(office.context, "olive")
    for name, roles, where in (
        ("ben", (Role.LAUNCH, Role.DATA, Role.APPROVE, Role.PREPARE), ()),
        ("cara", (Role.OFFICER,), ("riverside",)),
    ):
        other = enter(olive, name, *roles, at=where)
        with pytest.raises(NotAllowedError):
            add_operator(other, "dan", [Role.OFFICER])
        with pytest.raises(NotAllowedError):
            revoke(other, "olive")


def test_nobody_can_lock_everybody_out(office: Office) -> None:
    olive = enter(office.context, "olive")
    enter(olive, "cara", Role.OFFICER, at=("riverside",))
    with pytest.raises(RefusedError, match="last officer"):
        revoke(olive, "olive")
    dan = enter(olive, "dan", Role.OFFICER)
    revoke(olive, "olive")
    with pytest.raises(RefusedError, match="last officer"):
        revoke(dan, "dan")


def test_a_revoked_token_opens_nothing_from_then_on(office: Office) -> None:
    olive = enter(office.context, "olive")
    ben = enter(olive, "ben", Role.LAUNCH)
    revoke(olive, "ben")
    with pytest.raises(NotAllowedError):
        require(ben, Role.LAUNCH, id_of(office))
    with pytest.raises(NotAllowedError, match="was revoked"):
        authenticated(ben)
    with pytest.raises(RefusedError, match="revoked already"):
        revoke(olive, "ben")
    with pytest.raises(NotFoundError, match="no operator bem"):
        revoke(olive, "bem")


@pytest.mark.parametrize("name", ["ben", "Ben"])
def test_a_name_is_given_once(office: Office, name: str) -> None:
    olive = enter(office.context, "olive")
    enter(olive, "ben", Role.DATA)
    revoke(olive, "ben")
    with pytest.raises(RefusedError, match="is or was an operator"):
        add_operator(olive, name, [Role.DATA])


@pytest.mark.parametrize("name", ["service:ben", "", " ben", "-", "x" * 101, "a\nb"])
def test_a_name_cannot_pose_as_something_else(office: Office, name: str) -> None:
    with pytest.raises(UsageError, match="name"):
        add_operator(office.context, name, [Role.OFFICER])


def test_an_operator_needs_a_role(office: Office) -> None:
    with pytest.raises(UsageError, match="--role"):
        add_operator(office.context, "olive", [])


def test_revoking_pauses_their_schedules_and_nobody_elses(office: Office) -> None:
    olive = enter(office.context, "olive")
    ben = enter(olive, "ben", Role.LAUNCH)
    desk = ScheduleDesk(office, office.context.clock)  # type: ignore[arg-type]  # a SetClock
    bens = add_schedule(ben, desk.file(DAILY, name="bens"))
    olives = add_schedule(olive, desk.file(DAILY, name="olives"))
    assert revoke(olive, "ben") == [bens]
    assert desk.schedule(bens).state is ScheduleState.PAUSED
    assert desk.schedule(bens).because == "the operator who added it was revoked"
    assert desk.schedule(olives).state is ScheduleState.ACTIVE
    desk.clock.at = at("2026-12-02T09:00")
    tick(authenticated(office.context), dispatch=False)
    [run] = desk.runs()
    assert desk.occurrence(run.id).schedule_id == olives
    assert resume_schedule(olive, bens) is ScheduleState.ACTIVE


def test_revoking_ends_what_is_held_or_just_being_opened_too(office: Office) -> None:
    olive = enter(office.context, "olive")
    ben = enter(olive, "ben", Role.LAUNCH)
    desk = ScheduleDesk(office, office.context.clock)  # type: ignore[arg-type]  # a SetClock
    held, opening = (add_schedule(ben, desk.file(DAILY, name=name)) for name in ("one", "two"))
    now = desk.clock.now()
    with office.store.write() as session:
        hold(session, session.get_one(Schedule, held), "too few", now=now, operator="worker")
        session.add(
            ScheduleOccurrence(
                schedule_id=opening, due_at=now, state=OccurrenceState.OPENING, decided_at=now
            )
        )
    assert revoke(olive, "ben") == [held, opening]
    assert {desk.schedule(one).state for one in (held, opening)} == {ScheduleState.PAUSED}
    with office.store.read() as session:
        [occurrence] = session.scalars(select(ScheduleOccurrence))
        assert occurrence.state is OccurrenceState.SKIPPED
        assert occurrence.because == "the operator who added it was revoked"


def test_adding_a_schedule_takes_the_role(office: Office) -> None:
    olive = enter(office.context, "olive")
    cara = enter(olive, "cara", Role.PREPARE, Role.APPROVE)
    desk = ScheduleDesk(office, office.context.clock)  # type: ignore[arg-type]  # a SetClock
    with pytest.raises(NotAllowedError):
        add_schedule(cara, desk.file(DAILY))


def test_the_list_shows_everybody_there_ever_was(office: Office) -> None:
    olive = enter(office.context, "olive", Role.OFFICER, Role.DATA)
    enter(olive, "ben", Role.LAUNCH, at=("riverside",))
    revoke(olive, "ben")
    with office.store.read() as session:
        first, second = list_operators(session)
    assert (first.name, first.roles, first.controllers) == ("olive", ("data", "officer"), None)
    assert (second.controllers, second.added_by) == (("riverside",), "olive")
    assert (first.revoked_at, second.revoked_at) == (None, office.context.clock.now())


def test_a_script_opens_the_installation_as_an_operator(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    with open_office(store, tmp_path) as office:
        token = add_operator(office.context, "olive", [Role.OFFICER])
    settings = settings_for(
        tmp_path, database_url=database_url, hash_key=SecretStr(HASH_KEY.hex()), journal="off"
    )
    with pytest.raises(NotAllowedError), open_as_operator(settings):
        pass
    proved = settings.model_copy(update={"operator_token": SecretStr(token)})
    with open_as_operator(proved) as context:
        assert context.operator == "olive"


def test_a_command_takes_the_role_at_every_controller_that_it_names(office: Office) -> None:
    olive = enter(office.context, "olive")
    run_id, _ = carry_out(prepare_launch(olive, office.email()))
    ben = enter(olive, "ben", Role.DATA, Role.LAUNCH, at=("hilltop",))
    require_access(ben, Call("evidence", {"controller": "hilltop"}))
    require_access(olive, Call("evidence", {"controller": "hilltop", "run": run_id}))
    for command, values in (
        ("evidence", {"controller": "hilltop", "run": run_id}),
        ("evidence", {"run": run_id}),
        ("evidence", {}),
        ("campaign resume", {"run": run_id}),
        ("campaign resume", {"run": run_id + 1}),
        ("suppress import", {"controllers": ["hilltop", "riverside"]}),
        ("suppress import", {"controllers": ["hilltop"], "all_controllers": True}),
        ("suppress passed-on add", {"controller": "hilltop", "to": "riverside"}),
        ("schedule add", {"file": office.file()}),
        ("request close", {"number": 1}),
    ):
        with pytest.raises(NotAllowedError, match="ben may not do this"):
            require_access(ben, Call(command, values))


def test_resuming_takes_the_role_at_every_body_that_a_run_speaks_for_and_pausing_does_not(
    office: Office,
) -> None:
    olive = enter(office.context, "olive")
    run_id, _ = carry_out(prepare_launch(olive, office.email()))
    ben = enter(olive, "ben", Role.LAUNCH, at=("riverside",))
    require_access(ben, Call("campaign resume", {"run": run_id}))
    with office.store.write() as session:
        add_body(session, session.get_one(Run, run_id), establish(session, "jones"))
    with pytest.raises(NotAllowedError, match="ben may not do this"):
        require_access(ben, Call("campaign resume", {"run": run_id}))
    require_access(ben, Call("campaign pause", {"run": run_id}))
