"""A backup is restored over a day's opt-outs and sends: nobody who said no, and nobody twice."""

import json
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.campaigns.definition import CampaignDefinition, load_campaign
from sender.consent.history import Subject
from sender.consent.recording import Act, block_channel, object_to_all, withdraw_purpose
from sender.delivery.progress import Ending
from sender.delivery.runs import pause
from sender.errors import RefusedError
from sender.store.campaigns import Run
from sender.store.journal import JournalFile
from sender.store.suppressions import Block, SuppressionEvent
from sender.suppression.journal import require_whole
from sender.suppression.ledger import BlockScope, Suppression, suppress
from sender.vocabulary import BlockCause, Channel, RunState
from tests.support.backups import backup_of
from tests.support.campaign_folder import CREDENTIALS, Office
from tests.support.chaos_world import ChaosWorld, chaos_world, strike, wait_for
from tests.support.factory import address_id_of
from tests.support.journal_desk import keep_journal, replay
from tests.support.nursery import Nurse

PEOPLE = 300
STRANGERS = 250
OPT_OUTS = 500


@pytest.fixture
def world(
    nurse: Nurse, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ChaosWorld]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with chaos_world(nurse, database_url, tmp_path, people=PEOPLE) as opened:
        keep_journal(opened.office)
        opened.office.one_call_at_a_time()
        yield opened


def journaled(office: Office) -> int:
    """Return how many messages the journal says were about to be handed over.

    On a machine that is slow enough, some of them were given back because their look was too old. A
    backup that is restored then takes them for sent, as nobody can know.
    """
    journal = office.store.journal
    assert journal is not None
    entries = (json.loads(line) for line in journal.path.read_text().splitlines())
    return sum(len(entry["to"]) for entry in entries if entry.get("is") == "sent")


def send_some(world: ChaosWorld, definition: CampaignDefinition, messages: int) -> int:
    """Launch in this process, and pause when about so many messages were taken."""
    world.fake.strike_after(messages, partial(pause_running, world.office))
    run_id, ending = world.office.launch(definition)
    assert ending is Ending.PAUSED
    return run_id


def pause_running(office: Office) -> None:
    now = office.context.clock.now()
    with office.store.write() as session:
        run_id = session.scalars(select(Run.id).where(Run.state == RunState.RUNNING)).one()
        pause(session, run_id, now=now, operator="olive")


def written_to(world: ChaosWorld, since: int, until: int | None = None) -> Counter[str]:
    """Return how many of these messages went to each address, in the order of the fake."""
    return Counter(
        address for one in world.fake.messages[since:until] for address in one.message["to"]
    )


def say_no(office: Office, chance: random.Random) -> set[str]:
    """Let people and strangers say no in every way; return who did."""
    known = chance.sample(office.addresses[Channel.EMAIL], OPT_OUTS - STRANGERS)
    strangers = [f"stranger{number}@example.org" for number in range(STRANGERS)]
    for number, address in enumerate([*known, *strangers]):
        with office.store.write() as session:
            WAYS[number % len(WAYS)](office, session, address)
    return {*known, *strangers}


def _objection(office: Office, session: Session, address: str) -> None:
    object_to_all(session, office.context.hasher, _subject(address), _act(office))


def _opt_out(office: Office, session: Session, address: str) -> None:
    block_channel(session, office.context.hasher, _subject(address), _act(office))


def _narrow(office: Office, session: Session, address: str) -> None:
    hasher, purpose = office.context.hasher, office.organisation.purpose.slug
    block_channel(session, hasher, _subject(address), _act(office), purpose=purpose)


def _withdrawal(office: Office, session: Session, address: str) -> None:
    hasher, purpose = office.context.hasher, office.organisation.purpose.slug
    withdraw_purpose(session, hasher, _subject(address), _act(office), purpose=purpose)


def _everywhere(office: Office, session: Session, address: str) -> None:
    scope = BlockScope(address_id_of(session, address), None)
    _suppress(office, session, scope, BlockCause.COMPLAINT)


def _bounce(office: Office, session: Session, address: str) -> None:
    scope = BlockScope(address_id_of(session, address), office.organisation.id, "email")
    _suppress(office, session, scope, BlockCause.BOUNCE)


def _suppress(office: Office, session: Session, scope: BlockScope, cause: BlockCause) -> None:
    now = office.context.clock.now()
    act = Suppression(scope, cause, now, "provider", cause.set_by_person, "sender")
    suppress(session, [act], now)


def _subject(address: str) -> Subject:
    return Subject("riverside", Channel.EMAIL, address)


def _act(office: Office) -> Act:
    now = office.context.clock.now()
    return Act(now, "page", "page", "sender", now)


WAYS: tuple[Callable[[Office, Session, str], None], ...] = (
    _objection,
    _opt_out,
    _narrow,
    _withdrawal,
    _everywhere,
    _bounce,
)


def require_refusal(world: ChaosWorld, run_id: int, definition: CampaignDefinition) -> None:
    """Nothing can be sent from a database that is behind."""
    for attempt in (
        lambda: world.office.resume(run_id),
        lambda: world.office.launch(definition),
        lambda: world.office.launch(definition, new_run=True),
    ):
        with pytest.raises(RefusedError, match="behind its journal"):
            attempt()


def test_a_day_is_lost_and_comes_back(world: ChaosWorld, chance: random.Random) -> None:
    office = world.office
    spring = office.email(name="spring")
    run_id = send_some(world, spring, chance.randrange(1, 100))
    with backup_of(office.store) as backup:
        world.fake.strike_after(chance.randrange(1, 50), partial(pause_running, office))
        assert office.resume(run_id) is Ending.PAUSED
        spring_sent = len(world.fake.messages)
        autumn = office.email(name="autumn")
        send_some(world, autumn, chance.randrange(1, 100))
        autumn_sent = len(world.fake.messages)
        given_back = journaled(office) - autumn_sent
        said_no = say_no(office, chance)
        backup.restore()
        require_refusal(world, run_id, autumn)
        assert len(world.fake.messages) == autumn_sent
        done = replay(office)
    assert done.held_runs == [run_id]
    assert done.lacking.noes >= OPT_OUTS
    [lost] = done.sent.lost.values()
    assert 0 <= lost - (autumn_sent - spring_sent) <= given_back
    assert office.run(run_id).restored_at is not None
    assert office.resume(run_id) is Ending.FINISHED
    spring_ends = len(world.fake.messages)
    assert office.launch(autumn)[1] is Ending.FINISHED
    assert not set(written_to(world, autumn_sent)) & said_no
    everybody = set(office.addresses[Channel.EMAIL])
    for messages in (
        written_to(world, 0, spring_sent) + written_to(world, autumn_sent, spring_ends),
        written_to(world, spring_sent, autumn_sent) + written_to(world, spring_ends),
    ):
        assert set(messages.values()) == {1}
        assert set(messages) <= everybody
        assert len(everybody - said_no - set(messages)) <= given_back
    assert office.counts(run_id).planned == PEOPLE


def test_killed_after_the_backup(world: ChaosWorld, chance: random.Random) -> None:
    office = world.office
    run_id = send_some(world, load_campaign(world.campaign()), chance.randrange(1, 50))
    with backup_of(office.store) as backup:
        process = world.start("campaign", "resume", str(run_id), "--yes")
        messages = chance.randrange(1, PEOPLE - len(world.fake.messages) + 1)
        world.fake.strike_after(messages, partial(strike, process, signal.SIGKILL))
        code, _, err = wait_for(process)
        assert code == -signal.SIGKILL, (messages, err)
        backup.restore()
        replay(office)
    world.require_nobody_pending_was_written_to(run_id)
    assert office.resume(run_id) is Ending.FINISHED
    taken = world.messages_of(run_id)
    assert set(taken.values()) == {1}
    counts = office.counts(run_id)
    assert counts.planned == counts.handed_over + counts.unknown == PEOPLE


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_backed_up_while_sending_and_killed_later(world: ChaosWorld, chance: random.Random) -> None:
    office = world.office
    with backup_of(office.store) as backup:
        process = world.launch(world.campaign())

        def back_up() -> None:
            backup.take()
            kill = partial(strike, process, signal.SIGKILL)
            world.fake.strike_after(chance.randrange(51, 150), kill)

        world.fake.strike_after(chance.randrange(1, 100), back_up)
        assert wait_for(process)[0] == -signal.SIGKILL
        backup.restore()
        run_id = world.latest_run()
        with pytest.raises(RefusedError, match="behind its journal"):
            office.resume(run_id)
        replay(office)
    world.require_nobody_pending_was_written_to(run_id)
    assert office.resume(run_id) is Ending.FINISHED
    assert set(world.messages_of(run_id).values()) == {1}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_between_the_commit_and_the_journal(world: ChaosWorld, moment: str) -> None:
    """Whoever repeats what was never acknowledged gets it into the journal."""
    office, journal = world.office, world.office.folder / "opt-outs.journal"
    words = "suppress add ann@example.org -c riverside --reason phone --received-on 2026-05-07"
    command = words.split()
    with backup_of(office.store) as backup:
        point = f"sender.store.journal:Journal._write:1:{moment}"
        code, _, err = wait_for(world.start(*command, CHAOS_KILL=point))
        assert code == -signal.SIGKILL, err
        with office.store.read() as session:
            assert session.scalar(select(func.count()).select_from(SuppressionEvent)) == 1
        assert journal.exists() is (moment == "after")
        require_whole(office.store)
        assert wait_for(world.start(*command))[0] == 0
        backup.restore()
        replay(office)
    with office.store.read() as session:
        assert len(session.scalars(select(Block)).all()) == 1
    assert len(list(JournalFile(journal).lines(0))) >= 1
