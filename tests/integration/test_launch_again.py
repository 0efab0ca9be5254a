"""The same file launched again: carried on, refused, or sent to whoever was not sent it yet."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread

import pytest
from sqlalchemy import func, select, update

from sender.campaigns.amend import amend
from sender.campaigns.launch import prepare_launch, prepare_resume
from sender.context import Context
from sender.delivery.progress import Ending
from sender.delivery.runs import cancel, get_run, move, pause
from sender.errors import RefusedError
from sender.store.campaigns import Dispatcher, Run
from sender.store.controllers import ControllerVersion
from sender.store.deliveries import Delivery
from sender.store.engine import Store, open_store
from sender.vocabulary import Channel, DeliveryState, Reason, RunState
from tests.fakes.ses import SesFake, error_answer
from tests.support.campaign_folder import (
    CREDENTIALS,
    LETTER,
    Office,
    carry_out,
    on_bulk_call,
    open_office,
    written_to,
)
from tests.support.factory import OPERATOR, add_controller_version

PEOPLE = 150
"""Three batches, whatever their order."""
SUSPENDED = error_answer(400, "AccountSuspendedException", "The account is suspended.")


@pytest.fixture
def ses() -> Iterator[SesFake]:
    with SesFake() as running:
        running.account.rate = 5_000.0
        yield running


@pytest.fixture
def office(
    store: Store, tmp_path: Path, ses: SesFake, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with open_office(store, tmp_path, ses=ses, people=PEOPLE) as opened:
        opened.one_call_at_a_time()
        yield opened


def pause_run(office: Office, run_id: int) -> None:
    with office.store.write() as session:
        pause(session, run_id, now=office.context.clock.now(), operator=OPERATOR)


def launch_and_pause(office: Office, ses: SesFake) -> int:
    """Launch, and pause while the first batch of 50 is on its way."""
    launch = prepare_launch(office.context, office.email())
    on_bulk_call(ses, 1, lambda: pause_run(office, launch.run_id))
    assert carry_out(launch)[1] is Ending.PAUSED
    assert len(ses.messages) == 50
    return launch.run_id


def everybody_once(office: Office, ses: SesFake) -> bool:
    return written_to(ses) == Counter(office.addresses[Channel.EMAIL])


def test_after_a_pause_the_run_is_carried_on(office: Office, ses: SesFake) -> None:
    run_id = launch_and_pause(office, ses)
    again = prepare_launch(office.context, office.email())
    assert (again.run_id, again.continues, again.plan.recipients) == (run_id, True, PEOPLE - 50)
    assert carry_out(again)[1] is Ending.FINISHED
    assert everybody_once(office, ses)


def test_after_a_stop_of_the_provider_the_run_is_carried_on(office: Office, ses: SesFake) -> None:
    launch = prepare_launch(office.context, office.email())
    ses.script.append(SUSPENDED)
    run_id, ending = carry_out(launch)
    assert ending is Ending.STOPPED
    assert "AccountSuspendedException" in (office.run(run_id).stopped_because or "")
    assert office.counts(run_id).pending == PEOPLE - len(ses.messages) > 0
    assert office.launch(office.email()) == (run_id, Ending.FINISHED)
    assert everybody_once(office, ses)


def test_a_finished_campaign_is_not_sent_again(office: Office, ses: SesFake) -> None:
    run_id, _ = office.launch(office.email())
    with pytest.raises(RefusedError, match=f"spring was sent already, in run {run_id}") as caught:
        prepare_launch(office.context, office.email())
    assert "--new-run" in caught.value.remedy
    assert office.open_runs() == []
    assert everybody_once(office, ses)


def test_a_new_run_leaves_out_whoever_may_have_been_sent_it(office: Office, ses: SesFake) -> None:
    first, _ = office.launch(office.email())
    sent = [
        DeliveryState.DISPATCHING, DeliveryState.UNKNOWN, DeliveryState.ACCEPTED,
        DeliveryState.DELIVERED, DeliveryState.FAILED,
    ]  # fmt: skip
    unsent = [DeliveryState.REJECTED, DeliveryState.SKIPPED]
    ids = [office.ids[address] for address in office.addresses[Channel.EMAIL]]
    with office.store.write() as session:
        for address_id, state in zip(ids, [*sent, *unsent], strict=False):
            reason = Reason.EXPIRED if state is DeliveryState.SKIPPED else None
            session.execute(
                update(Delivery)
                .where(Delivery.address_id == address_id)
                .values(state=state, reason=reason)
            )
    office.add_people(Channel.EMAIL, 3, prefix="new")
    launch = prepare_launch(office.context, office.email(), new_run=True)
    assert (launch.continues, launch.plan.recipients) == (False, 5)
    assert launch.plan.refused == {Reason.ALREADY_SENT: PEOPLE - 2}
    ses.messages.clear()
    run_id, ending = carry_out(launch)
    assert (run_id != first, ending) == (True, Ending.FINISHED)
    assert set(written_to(ses)) == {"new0@example.org", "new1@example.org", "new2@example.org"} | {
        address
        for address in office.addresses[Channel.EMAIL]
        if office.ids[address] in ids[len(sent) : len(sent) + len(unsent)]
    }
    assert office.counts(run_id).by_reason == {Reason.ALREADY_SENT: PEOPLE - 2}


def test_an_edited_file_does_not_change_a_run_that_has_begun(office: Office, ses: SesFake) -> None:
    run_id = launch_and_pause(office, ses)
    with pytest.raises(RefusedError, match=f"Run {run_id} of spring is paused, with another text"):
        prepare_launch(office.context, office.email(subject="Edited"))
    assert office.run(run_id).state is RunState.PAUSED
    assert office.resume(run_id) is Ending.FINISHED
    assert {one.message["subject"] for one in ses.messages} == {"Come along"}


def test_a_begun_run_that_waits_for_its_dispatcher_is_no_less_begun(
    office: Office, ses: SesFake
) -> None:
    run_id = launch_and_pause(office, ses)
    launch = prepare_resume(office.context, run_id)
    launch.confirm()  # and then the process dies
    launch.provider.close()
    assert office.run(run_id).state is RunState.READY
    with pytest.raises(RefusedError, match="with another text"):
        prepare_launch(office.context, office.email(subject="Edited"))
    assert office.counts(run_id).pending == PEOPLE - 50


def test_an_edited_file_supersedes_a_run_that_never_began(office: Office, ses: SesFake) -> None:
    stale = prepare_launch(office.context, office.email())
    edited = prepare_launch(office.context, office.email(subject="Edited"))
    assert not edited.continues
    assert office.run(stale.run_id).state is RunState.CANCELLED
    assert carry_out(edited)[1] is Ending.FINISHED
    with pytest.raises(RefusedError, match="is cancelled"):
        stale.confirm()
    stale.close()
    assert office.run(stale.run_id).state is RunState.CANCELLED
    assert office.counts(stale.run_id).planned == 0
    assert everybody_once(office, ses)


def test_a_run_that_is_cancelled_before_the_yes_stays_cancelled(
    office: Office, ses: SesFake
) -> None:
    launch = prepare_launch(office.context, office.email())
    with office.store.write() as session:
        cancel(session, launch.run_id, now=office.context.clock.now(), operator=OPERATOR)
    with pytest.raises(RefusedError, match="is cancelled"):
        launch.confirm()
    launch.close()
    assert office.open_runs() == []
    assert ses.messages == []


def test_a_declined_launch_leaves_a_cancelled_run_without_deliveries(office: Office) -> None:
    launch = prepare_launch(office.context, office.email())
    launch.close()
    assert office.run(launch.run_id).state is RunState.CANCELLED
    assert office.deliveries() == 0
    assert prepare_launch(office.context, office.email()).continues is False


def test_a_declined_resume_leaves_the_run_as_it_was(office: Office, ses: SesFake) -> None:
    run_id = launch_and_pause(office, ses)
    prepare_resume(office.context, run_id).close()
    assert office.run(run_id).state is RunState.PAUSED
    assert office.counts(run_id).pending == PEOPLE - 50


def test_a_run_that_ended_is_not_resumed(office: Office) -> None:
    run_id, _ = office.launch(office.email())
    with pytest.raises(RefusedError, match="finished; nothing is left to resume"):
        prepare_resume(office.context, run_id)


def test_a_paused_run_that_expired_comes_to_its_end(office: Office, ses: SesFake) -> None:
    run_id = launch_and_pause(office, ses)
    with office.store.write() as session:
        session.execute(update(Run).values(expires_at=office.context.clock.now()))
    with pytest.raises(RefusedError, match="finished"):
        office.resume(run_id)
    counts = office.counts(run_id)
    assert (counts.pending, counts.by_reason) == (0, {Reason.EXPIRED: 100})
    assert len(ses.messages) == 50


def test_a_run_is_resumed_by_its_own_text_or_not_at_all(office: Office, ses: SesFake) -> None:
    run_id = launch_and_pause(office, ses)
    resumed = prepare_resume(office.context, run_id)
    amend(office.context, run_id, office.email(subject="Corrected"))
    resumed.confirm()
    with pytest.raises(RefusedError, match="was amended meanwhile"):
        resumed.dispatch()
    resumed.close()
    assert len(ses.messages) == 50
    assert office.resume(run_id) is Ending.FINISHED
    assert everybody_once(office, ses)


def test_a_paused_run_says_who_its_controller_is_by_now(office: Office, ses: SesFake) -> None:
    run_id = launch_and_pause(office, ses)
    with office.store.write() as session:
        add_controller_version(
            session, office.organisation.controller, version=2, name="Riverside and Valley",
        )  # fmt: skip
    assert office.resume(run_id) is Ending.FINISHED
    named = Counter("Riverside and Valley" in one.message["html"] for one in ses.messages)
    assert named == {True: PEOPLE - 50, False: 50}
    with office.store.read() as session:
        recorded = session.execute(
            select(ControllerVersion.version, func.count())
            .join(Delivery, Delivery.controller_version_id == ControllerVersion.id)
            .group_by(ControllerVersion.version)
        )
        assert dict(recorded.all()) == {1: 50, 2: PEOPLE - 50}


def test_a_run_can_be_paused_before_its_dispatcher_comes(office: Office, ses: SesFake) -> None:
    launch = prepare_launch(office.context, office.email())
    launch.confirm()
    pause_run(office, launch.run_id)
    with pytest.raises(RefusedError, match="is paused; it cannot be sent"):
        launch.dispatch()
    launch.close()
    assert ses.messages == []
    assert office.resume(launch.run_id) is Ending.FINISHED


def test_a_run_that_was_left_running_is_carried_on(office: Office, ses: SesFake) -> None:
    run_id = launch_and_pause(office, ses)
    with office.store.write() as session:
        run = get_run(session, run_id)
        move(session, run, RunState.RUNNING, now=office.context.clock.now(), operator=OPERATOR)
    assert office.launch(office.email()) == (run_id, Ending.FINISHED)
    assert everybody_once(office, ses)


def test_a_dispatcher_that_was_given_up_for_lost_marks_nobody_any_more(
    office: Office, ses: SesFake
) -> None:
    launch = prepare_launch(office.context, office.email())

    def give_up() -> None:
        with office.store.write() as session:
            session.execute(update(Dispatcher).values(ended_at=office.context.clock.now()))

    on_bulk_call(ses, 1, give_up)
    run_id, ending = carry_out(launch)
    assert ending is Ending.INTERRUPTED
    assert len(ses.messages) == 50
    assert office.run(run_id).state is RunState.RUNNING  # it is another's to say how it goes on
    assert office.resume(run_id) is Ending.FINISHED
    assert everybody_once(office, ses)


def test_two_launches_at_once_are_one_run_and_write_to_nobody_twice(
    office: Office, ses: SesFake, database_url: str
) -> None:
    definition = office.email()
    together = Barrier(2)
    said: list[object] = []

    def launch_too() -> None:
        store = open_store(database_url)
        context = Context(
            office.context.settings, store, office.context.hasher, office.context.clock, OPERATOR
        )
        together.wait()
        try:
            said.append(carry_out(prepare_launch(context, definition))[1])
        except RefusedError as refusal:
            said.append(refusal)
        finally:
            store.close()

    threads = [Thread(target=launch_too) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count(Ending.FINISHED) == 1
    assert any(isinstance(one, RefusedError) for one in said)
    assert everybody_once(office, ses)
    with office.store.read() as session:
        runs = session.scalars(select(Run)).all()
        assert [run.state for run in runs] == [RunState.FINISHED]
    assert office.counts(runs[0].id).by_state == {DeliveryState.ACCEPTED: PEOPLE}


def test_templates_are_pinned_with_the_run(office: Office, ses: SesFake) -> None:
    run_id = launch_and_pause(office, ses)
    office.write("letter.html", LETTER.replace("Saturday", "Sunday"))
    assert office.resume(run_id) is Ending.FINISHED
    assert not any("Sunday" in one.message["html"] for one in ses.messages)
