"""Approval of a campaign's exact text: by two people where asked for, and by kind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sender.campaigns.approval import review
from sender.campaigns.definition import CampaignDefinition, load_campaign
from sender.campaigns.launch import prepare_launch, prepare_resume
from sender.campaigns.leaving import revoke
from sender.campaigns.schedule_desk import add_schedule
from sender.campaigns.scheduling import tick
from sender.context import Context
from sender.delivery.progress import Ending
from sender.errors import RefusedError, UsageError
from sender.operators.authentication import authenticated
from sender.operators.authority import NotAllowedError
from sender.operators.roles import Role
from sender.store.campaigns import CampaignVersion, Run
from sender.store.engine import Store
from sender.store.operators import CampaignApproval
from sender.vocabulary import Channel, OccurrenceState, Reason, ScheduleState
from tests.support.campaign_folder import Office, carry_out, open_office
from tests.support.factory import add_policy
from tests.support.operators import enter
from tests.support.schedule_world import DAILY, ScheduleDesk, SetClock, at

BY_LINK = '[opt_out]\nstyle = "link"\n'
SURVEY = "<p>How often do you take the bus? <a href='https://survey.example.org/b'>Say so</a>.</p>"


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Iterator[Office]:
    with open_office(store, tmp_path, people=3, texters=2, clock=SetClock()) as office:
        yield office


def ask_for_two(office: Office) -> None:
    with office.store.write() as session:
        add_policy(session, office.organisation.controller, two_person=True)


def survey(office: Office, letter: str = SURVEY, **changed: Any) -> CampaignDefinition:
    office.write("letter.html", letter)
    return office.email(**{"kind": "research", "subject": "Buses", **changed})


def launch(context: Context, definition: CampaignDefinition) -> int:
    run_id, ending = carry_out(prepare_launch(context, definition))
    assert ending is Ending.FINISHED
    return run_id


class TestTwoPeople:
    @pytest.fixture
    def ada(self, office: Office) -> Context:
        ask_for_two(office)
        return enter(office.context, "ada")

    @pytest.fixture
    def ben(self, ada: Context) -> Context:
        return enter(ada, "ben", Role.APPROVE, Role.LAUNCH)

    def test_nothing_goes_out_without_an_approval(self, office: Office, ada: Context) -> None:
        with pytest.raises(RefusedError, match="nobody approved"):
            prepare_launch(ada, office.email())
        assert office.open_runs() == []

    def test_whoever_approved_does_not_launch(
        self, office: Office, ada: Context, ben: Context
    ) -> None:
        review(ada, office.email()).approve()
        with pytest.raises(RefusedError, match="ada approved this text"):
            prepare_launch(ada, office.email())
        run_id = launch(ben, office.email())
        assert office.counts(run_id).handed_over == 3

    def test_ones_own_approval_beside_anothers_does_no_harm(
        self, office: Office, ada: Context, ben: Context
    ) -> None:
        for one in (ada, ben):
            review(one, office.email()).approve()
        run_id = launch(ben, office.email())
        assert office.counts(run_id).handed_over == 3

    def test_what_is_sent_has_the_hash_that_was_approved(
        self, office: Office, ada: Context, ben: Context
    ) -> None:
        review(ada, office.email()).approve()
        run_id = launch(ben, office.email())
        with office.store.read() as session:
            approval = session.scalars(select(CampaignApproval)).one()
            version = session.get_one(CampaignVersion, session.get_one(Run, run_id).version_id)
        assert version.content_hash == approval.content_hash

    @pytest.mark.parametrize("what", ["template", "campaign file"])
    def test_a_changed_file_needs_a_new_approval(
        self, office: Office, ada: Context, ben: Context, what: str
    ) -> None:
        review(ada, office.email()).approve()
        if what == "template":
            office.write("letter.html", "<p>Something else.</p>")
            changed = office.email()
        else:
            changed = office.email(subject="Something else")
        with pytest.raises(RefusedError, match="nobody approved this one"):
            prepare_launch(ben, changed)

    def test_a_resumed_run_needs_it_too(self, office: Office, ada: Context, ben: Context) -> None:
        review(ada, office.email()).approve()
        opened = prepare_launch(ben, office.email())
        opened.confirm()
        opened.close()
        with pytest.raises(RefusedError, match="takes two people"):
            prepare_resume(ada, opened.run_id)
        assert carry_out(prepare_resume(ben, opened.run_id))[1] is Ending.FINISHED

    def test_an_approval_ends_with_its_operator(
        self, office: Office, ada: Context, ben: Context
    ) -> None:
        review(ben, office.email()).approve()
        revoke(ada, "ben")
        with pytest.raises(RefusedError, match="nobody approved"):
            prepare_launch(ada, office.email())

    def test_an_approval_that_ends_before_the_yes_does_not_count(
        self, office: Office, ada: Context, ben: Context
    ) -> None:
        review(ben, office.email()).approve()
        prepared = prepare_launch(ada, office.email())
        revoke(ada, "ben")
        with pytest.raises(RefusedError, match="nobody approved"):
            prepared.confirm()
        prepared.close()
        assert (office.open_runs(), office.deliveries()) == ([], 0)

    def test_a_launcher_who_is_revoked_before_the_yes_launches_nothing(
        self, office: Office, ada: Context, ben: Context
    ) -> None:
        review(ada, office.email()).approve()
        prepared = prepare_launch(ben, office.email())
        revoke(ada, "ben")
        with pytest.raises(NotAllowedError):
            prepared.confirm()
        prepared.close()
        assert (office.open_runs(), office.deliveries()) == ([], 0)

    def test_approving_takes_the_role(self, office: Office, ada: Context) -> None:
        cara = enter(ada, "cara", Role.LAUNCH, Role.PREPARE)
        with pytest.raises(NotAllowedError):
            review(cara, office.email()).approve()

    def test_a_service_launches_nothing_by_hand(self, office: Office, ada: Context) -> None:
        review(ada, office.email()).approve()
        with pytest.raises(NotAllowedError):
            prepare_launch(authenticated(office.context), office.email())

    def test_a_schedule_counts_as_launched_by_who_added_it(
        self, office: Office, ada: Context, ben: Context
    ) -> None:
        desk = ScheduleDesk(office, office.context.clock)  # type: ignore[arg-type]  # a SetClock
        path = desk.file(DAILY)
        with pytest.raises(RefusedError, match="nobody approved"):
            add_schedule(ben, path)
        review(ben, load_campaign(path)).approve()
        with pytest.raises(RefusedError, match="ben approved this text"):
            add_schedule(ben, path)
        schedule = add_schedule(ada, path)
        desk.clock.at = at("2026-12-02T09:00")
        tick(authenticated(office.context), dispatch=True)
        assert desk.occurrences() == [("02 09:00", OccurrenceState.LAUNCHED.value, "")]
        revoke(ada, "ben")
        desk.clock.at = at("2026-12-03T09:00")
        tick(authenticated(office.context), dispatch=True)
        held = desk.schedule(schedule)
        assert (held.state, "nobody approved" in (held.because or "")) == (ScheduleState.HELD, True)


def test_two_people_cannot_be_told_apart_without_operators(office: Office) -> None:
    ask_for_two(office)
    review(office.context, office.email()).approve()
    with pytest.raises(RefusedError, match="nobody can prove who they are"):
        prepare_launch(office.context, office.email())


def test_an_unproved_approval_does_not_count_once_there_are_operators(office: Office) -> None:
    review(office.context, office.email()).approve()
    ask_for_two(office)
    ada = enter(office.context, "ada")
    with pytest.raises(RefusedError, match="nobody approved"):
        prepare_launch(ada, office.email())


def test_marketing_needs_no_approval_where_nobody_asked_for_one(office: Office) -> None:
    launch(office.context, office.email())


class TestKinds:
    @pytest.mark.parametrize("kind", ["research", "service"])
    def test_needs_an_approval_with_a_reason(self, office: Office, kind: str) -> None:
        with pytest.raises(RefusedError, match=f"A {kind} campaign goes out only"):
            prepare_launch(office.context, survey(office, kind=kind))
        with pytest.raises(UsageError, match="--reason"):
            review(office.context, survey(office, kind=kind)).approve("  ")
        review(office.context, survey(office, kind=kind)).approve("Asks about buses")
        run_id = launch(office.context, survey(office, kind=kind))
        assert office.counts(run_id).handed_over == 3

    def test_one_person_may_do_both_where_two_are_not_asked_for(self, office: Office) -> None:
        ada = enter(office.context, "ada")
        review(ada, survey(office)).approve("Asks about buses")
        launch(ada, survey(office))

    @pytest.mark.parametrize(
        "words", ["Vote for us.", "Please donate.", "We count on your support."]
    )
    def test_no_approval_lifts_an_ask(self, office: Office, words: str) -> None:
        with pytest.raises(RefusedError, match="no approval lifts"):
            review(office.context, survey(office, f"{SURVEY}<p>{words}</p>"))

    def test_a_flag_is_lifted_by_a_reason_and_kept(self, office: Office) -> None:
        found = review(office.context, survey(office, f"{SURVEY}<p>Sign up for more.</p>"))
        assert {flag.element.value for flag in found.flags} == {"sign-ups"}
        found.approve("The panel is part of the study")
        with office.store.read() as session:
            row = session.scalars(select(CampaignApproval)).one()
        assert (row.flags, row.reason) == (["sign-ups"], "The panel is part of the study")

    def test_an_ask_in_a_branch_that_nobody_takes_is_found(self, office: Office) -> None:
        letter = SURVEY + "{% if recipient.ward is defined %}<p>Vote for us</p>{% endif %}"
        with pytest.raises(RefusedError, match="votes"):
            review(office.context, survey(office, letter))

    def test_an_ask_in_a_value_is_refused_for_that_person_alone(self, office: Office) -> None:
        letter = SURVEY + "<p>{{ recipient.first_name | default('Hello') }}</p>"
        review(office.context, survey(office, letter)).approve("Asks about buses")
        office.add_people(Channel.EMAIL, 1, prefix="late", first_name="Please donate")
        with pytest.raises(RefusedError, match="kind-marketing"):
            prepare_launch(office.context, survey(office, letter))

    def test_marketing_may_ask(self, office: Office) -> None:
        definition = survey(office, "<p>Vote for us, and donate.</p>", kind="marketing")
        assert review(office.context, definition).flags == ()
        launch(office.context, definition)


class TestResearchLinks:
    """¶20: answers must not be linked to the person."""

    @pytest.mark.parametrize(
        "letter",
        [
            "<p><a href='https://s.example.org/?r={{ recipient.x | default(7) }}'>x</a></p>",
            "<p>Go to https://s.example.org/{{ recipient.first_name | default('you') }} now</p>",
            "<p>Go to s.example.org/{{ recipient.first_name | default('you') }} now</p>",
        ],
    )
    def test_a_link_of_ones_own_is_refused(self, office: Office, letter: str) -> None:
        with pytest.raises(RefusedError, match="research-link"):
            review(office.context, survey(office, letter))

    def test_a_service_message_may_have_one(self, office: Office) -> None:
        letter = "<p>Your case: https://s.example.org/{{ recipient.first_name | default('x') }}</p>"
        review(office.context, survey(office, letter, kind="service")).approve("Case work")

    def test_a_text_message_too(self, office: Office) -> None:
        office.write(
            "text.txt",
            "{{ sender_name }}: buses? https://s.example.org/{{ recipient.x | default(1) }}",
        )
        definition = office.sms(BY_LINK, kind="research")
        with pytest.raises(RefusedError, match=r"research-link"):
            review(office.context, definition)
        office.write("text.txt", "{{ sender_name }}: buses? Tell https://s.example.org/b")
        review(office.context, office.sms(BY_LINK, kind="research")).approve("Asks about buses")
        run_id = launch(office.context, office.sms(BY_LINK, kind="research"))
        assert office.counts(run_id).by_reason.get(Reason.RENDERED_CHECK, 0) == 0
        assert office.counts(run_id).handed_over == 2
