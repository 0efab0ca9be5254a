"""Going round a person's rights, an operator's role, two people's yes and a kind of campaign."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sender.campaigns.amend import amend
from sender.campaigns.approval import review
from sender.campaigns.definition import CampaignDefinition, load_campaign
from sender.campaigns.launch import prepare_launch, prepare_resume
from sender.campaigns.leaving import revoke
from sender.campaigns.schedule_desk import add_schedule, resume_schedule
from sender.campaigns.scheduling import tick
from sender.consent.history import Subject
from sender.consent.recording import Act, give
from sender.context import Context
from sender.controllers.declarations import freeze
from sender.delivery.frequency import Person
from sender.delivery.refresh_asks import asked_already
from sender.delivery.runs import pause
from sender.errors import RefusedError
from sender.operators.authentication import authenticated
from sender.operators.roles import Role
from sender.store.campaigns import Run, StagedRecipient
from sender.store.contacts import Contact
from sender.store.engine import Store
from sender.subjects.desk import NewRequest, Outcome, RequestKind, close_request, open_request
from sender.subjects.erase import erase
from sender.subjects.whom import Asked
from sender.vocabulary import Channel, OccurrenceState, Reason, ScheduleState
from tests.support.campaign_folder import Office, carry_out, open_office
from tests.support.factory import (
    NOW,
    add_campaign,
    add_contact,
    add_delivery,
    add_point,
    add_policy,
    add_run,
    address_id_of,
    establish,
)
from tests.support.held import hold
from tests.support.import_world import HASHER as IMPORT_HASHER
from tests.support.import_world import build_world, notice
from tests.support.operators import enter
from tests.support.schedule_world import DAILY, ScheduleDesk, SetClock, at
from tests.support.web_context import web_context

ANN = "ann@example.org"
SURVEY = "<p>How often do you take the bus? <a href='https://survey.example.org/b'>Say so</a>.</p>"

NAME = "{% set who = recipient.first_name | default('x') %}"
BY_PERSON = (
    "{% if recipient.first_name == 'Pat0' %}https://s.example.org/a{% endif %}",
    "{% if recipient.first_name != 'Pat1' %}<a href='https://s.example.org/a'>x</a>{% endif %}",
    "{{ values.by_name[recipient.first_name] | default(values.by_name.Pat0) }}",
    "{% for one in values.all if one.who == recipient.first_name %}{{ one.to }}{% endfor %}",
    NAME + "{% if who == 'Pat0' %}https://s.example.org/a{% endif %}",
    "{{ 'https://s.example.org/a' if recipient.first_name is defined else 'x' }}",
)
"""Ways in which a template can give each person a link that the file holds as it is."""
VALUES = """\
[values]
by_name = {Pat0 = "https://s.example.org/0", Pat1 = "https://s.example.org/1"}
all = [{who = "Pat0", to = "https://s.example.org/0"}]
"""


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Iterator[Office]:
    with open_office(store, tmp_path, people=3, clock=SetClock()) as office:
        yield office


class TestErasureRequests:
    """A request to be erased is done once nothing is left, whatever came in since."""

    def open(self, context: Context) -> int:
        asks = (Channel.EMAIL, ANN)
        new = NewRequest("riverside", RequestKind.ERASURE, NOW.date(), asks, identity_check="seen")
        return open_request(context, new).id

    def close(self, context: Context, number: int) -> str | None:
        return close_request(context, number, outcome=Outcome.DONE, answer="Done").outcome

    @pytest.mark.parametrize("held", ["a contact", "a staged row", "an address brought in since"])
    def test_it_is_not_done_while_the_person_is_held(self, store: Store, held: str) -> None:
        context = web_context(store)
        with store.write() as session:
            body = establish(session, "riverside")
        number = self.open(context)
        with store.write() as session:
            if held == "a staged row":
                _, version = add_campaign(session, body.controller)
                run = add_run(session, body, version)
                address_id = address_id_of(session, ANN)
                session.add(StagedRecipient(
                    run_id=run.id, address_id=address_id, address=ANN, attributes={},
                    erase_after=NOW + timedelta(days=30),
                ))  # fmt: skip
            else:
                contact = add_contact(session, body.controller)
                add_point(session, contact, ANN)
                if held != "a contact":
                    session.get_one(Contact, contact.id).erased_at = NOW
        with pytest.raises(RefusedError, match="still there"):
            self.close(context, number)
        erase(context, Asked(Channel.EMAIL, ANN, "riverside"))
        assert close_request(
            context, number, outcome=Outcome.DONE, answer="Done", identity_check="seen"
        ).outcome


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_what_was_erased_is_in_no_page_of_the_file(store: Store) -> None:
    context = web_context(store)
    with store.write() as session:
        riverside, other = establish(session, "riverside"), establish(session, "candidate")
        ann = hold(session, riverside, other, "Annotated")
    database = Path(store.engine.url.database or "")
    words = [one.encode() for one in ("annotated", ann.address, ann.number)]
    assert found_in(database, words)
    erase(context, Asked(Channel.EMAIL, ann.address, None))
    assert not found_in(database, words)


def found_in(database: Path, words: list[bytes]) -> list[str]:
    """Return the files of a SQLite database that hold one of the words."""
    files = [path for path in database.parent.glob(f"{database.name}*") if path.is_file()]
    return [path.name for path in files if any(word in path.read_bytes().lower() for word in words)]


class TestSchedules:
    """A schedule is somebody's who may be asked about it."""

    def test_whoever_resumes_the_schedule_of_somebody_who_left_answers_for_it(
        self, office: Office
    ) -> None:
        olive = enter(office.context, "olive")
        ben = enter(olive, "ben", Role.LAUNCH)
        cara = enter(olive, "cara", Role.LAUNCH)
        desk = ScheduleDesk(office, office.context.clock)  # type: ignore[arg-type]  # a SetClock
        schedule_id = add_schedule(ben, desk.file(DAILY))
        resume_schedule(cara, schedule_id)
        assert desk.schedule(schedule_id).operator == "ben", "who is still there"
        revoke(olive, "ben")
        resume_schedule(cara, schedule_id)
        assert desk.schedule(schedule_id).operator == "cara"
        assert revoke(olive, "cara") == [schedule_id]
        assert desk.schedule(schedule_id).state is ScheduleState.PAUSED

    def test_an_approver_alone_does_not_carry_it_on(self, office: Office) -> None:
        with office.store.write() as session:
            add_policy(session, office.organisation.controller, two_person=True)
        olive = enter(office.context, "olive")
        ben = enter(olive, "ben", Role.LAUNCH)
        desk = ScheduleDesk(office, office.context.clock)  # type: ignore[arg-type]  # a SetClock
        file = desk.file(DAILY)
        review(olive, load_campaign(file)).approve()
        schedule_id = add_schedule(ben, file)
        revoke(olive, "ben")
        resume_schedule(olive, schedule_id)
        desk.clock.at = at("2026-12-02T09:00")
        tick(authenticated(office.context), dispatch=False)
        assert desk.schedule(schedule_id).state is ScheduleState.HELD
        assert "takes two people" in str(desk.schedule(schedule_id).because)
        assert OccurrenceState.LAUNCHED.value not in str(desk.occurrences())

    def test_one_that_was_added_before_two_were_asked_for_is_held(self, office: Office) -> None:
        olive = enter(office.context, "olive")
        desk = ScheduleDesk(office, office.context.clock)  # type: ignore[arg-type]  # a SetClock
        schedule_id = add_schedule(olive, desk.file(DAILY))
        with office.store.write() as session:
            add_policy(session, office.organisation.controller, two_person=True)
        desk.clock.at = at("2026-12-02T09:00")
        tick(authenticated(office.context), dispatch=False)
        assert desk.schedule(schedule_id).state is ScheduleState.HELD


def test_a_run_that_was_amended_goes_on_with_an_approval_of_its_new_text(office: Office) -> None:
    with office.store.write() as session:
        add_policy(session, office.organisation.controller, two_person=True)
    olive = enter(office.context, "olive")
    ben = enter(olive, "ben", Role.LAUNCH, Role.PREPARE)
    review(olive, office.email()).approve()
    launch = prepare_launch(ben, office.email())
    launch.confirm()
    launch.close()
    with office.store.write() as session:
        pause(session, launch.run_id, now=ben.clock.now(), operator="ben")
    office.write("letter.html", "<p>Something quite different.</p>")
    amend(ben, launch.run_id, office.email())
    for who in (ben, olive):
        with pytest.raises(RefusedError, match="nobody approved"):
            prepare_resume(who, launch.run_id)
    review(olive, office.email()).approve()
    assert carry_out(prepare_resume(ben, launch.run_id))


class TestResearch:
    """Whatever a template does, no link tells who follows it (¶20)."""

    @pytest.mark.parametrize("letter", BY_PERSON)
    def test_a_link_of_ones_own_by_a_branch_or_a_list_is_refused(
        self, office: Office, letter: str
    ) -> None:
        with pytest.raises(RefusedError, match="research-link"):
            review(office.context, survey(office, f"{SURVEY}<p>{letter}</p>", VALUES))

    def test_links_that_are_the_same_for_everybody_stay(self, office: Office) -> None:
        letter = (
            f"{SURVEY}<p>{{{{ values.links.more }}}}{{% if recipient.first_name is defined %}} you"
            "{% endif %}{% if values.open %} https://s.example.org/open{% endif %}</p>"
        )
        values = '[values]\nopen = true\nlinks = {more = "https://s.example.org/x"}\n'
        assert review(office.context, survey(office, letter, values)).approve("Asks about buses")


def survey(office: Office, letter: str, more: str) -> CampaignDefinition:
    office.write("letter.html", letter)
    return office.email(more, kind="research", subject="Buses")


def test_a_person_with_two_addresses_is_asked_once_a_period(store: Store) -> None:
    with store.write() as session:
        body = establish(session)
        contact = add_contact(session, body.controller)
        points = [add_point(session, contact) for _ in range(2)]
        text = add_point(session, contact, channel=Channel.SMS)
        other = add_point(session, add_contact(session, body.controller))
        _, version = add_campaign(session, body.controller)
        run, again = (add_run(session, body, version, expiring_days=60) for _ in range(2))
        asked = [_person(add_delivery(session, run, point), point) for point in (*points, other)]
        late = [_person(add_delivery(session, again, point), point) for point in (*points, other)]
        by_text = _person(add_delivery(session, again, text), text)
    first, second, another = asked
    assert ask(store, run, asked) == {second.delivery_id}
    assert ask(store, run, [first, another]) == set(), "they came back unsent"
    for one in late:
        assert ask(store, again, [one]) == {one.delivery_id}, "by whichever address"
    with store.write() as session:
        session.get_one(Run, again.id).channel = Channel.SMS
    assert ask(store, again, [by_text]) == set(), "that is another consent"


def ask(store: Store, run: Run, people: list[Person]) -> set[int]:
    with store.write() as session:
        return asked_already(session, session.get_one(Run, run.id), people, NOW)


def _person(delivery: Any, point: Any) -> Person:
    return Person(delivery.id, point.address_id, point.contact_id)


def test_a_file_brings_nobody_back_over_a_freeze(store: Store, tmp_path: Path) -> None:
    """Whoever agreed before comes back by an act of their own; somebody new is new."""
    world = build_world(store, tmp_path)
    world.bring_in(CONSENTS + agreed("ann", "2026-05-07"))
    with store.write() as session:
        freeze(session, "acton", reason="A new party", operator="x", now=world.clock.now())
    world.clock.at += timedelta(days=9)
    controller_id, shown_from = world.controller_id(), world.clock.at - timedelta(days=8)
    with store.write() as session:
        later = notice(controller_id, "web-form", version=3, controllers=["acton"])
        later.shown_from = shown_from
        session.add(later)
    rows = agreed("ann", "2026-11-29") + agreed("ben", "2026-11-29")
    report = world.bring_in(CONSENTS + rows, name="later.csv")
    assert report.counts.problems == 1
    assert world.refusal(ANN) is Reason.CONTROLLER_FROZEN
    assert world.refusal("ben@example.org") is None
    act = Act(world.clock.at - timedelta(days=1), "paper", "form 7", "x", world.clock.at)
    ann = Subject("acton", Channel.EMAIL, ANN)
    with store.write() as session:
        give(session, IMPORT_HASHER, ann, act, purpose="campaign-news", notice="web-form")
    assert world.refusal(ANN) is None


CONSENTS = (
    "email,consent_purpose,consent_channel,consent_notice,consent_at,consent_method,"
    "consent_source\n"
)


def agreed(name: str, day: str) -> str:
    return f"{name}@example.org,campaign-news,email,web-form,{day},web-form,/join\n"
