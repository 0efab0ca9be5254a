"""Every reason to refuse, in its order; and that nothing but consent allows."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.consent.freshness import FreshnessPolicy, months_before
from sender.consent.policy import (
    CAUSE_REASONS,
    FLAW_REASONS,
    RULES,
    STATUS_REASONS,
    BlockView,
    ConsentView,
    Decision,
    Person,
    Scope,
    applies,
    decide,
)
from sender.vocabulary import (
    EVERY,
    EVERY_CHANNEL,
    BlockCause,
    Channel,
    ConsentFlaw,
    ConsentKind,
    ContactSource,
    Reason,
)
from tests.support.factory import NOW

CONTROLLER, OTHER_CONTROLLER = 1, 2
PURPOSE, OTHER_PURPOSE = 10, 11
TICK = timedelta(microseconds=1)

SCOPE = Scope(
    controller_id=CONTROLLER,
    channel=Channel.EMAIL,
    purpose_id=PURPOSE,
    at=NOW,
    freshness=FreshnessPolicy(),
)
CONSENT = ConsentView(
    status=ConsentKind.GIVEN,
    event_id=77,
    last_affirmative_at=NOW - timedelta(days=30),
    notice_shown_from=NOW - timedelta(days=60),
)
WELCOME = Person(
    has_address=True,
    objected=False,
    source=ContactSource.DIRECT,
    consent=CONSENT,
    consented_on_other_channel=False,
    consented_to_other_purpose=False,
    blocks=(),
)


def with_consent(**changed: Any) -> Person:
    return replace(WELCOME, consent=replace(CONSENT, **changed))


def blocked(cause: BlockCause, **changed: Any) -> Person:
    view = replace(BlockView(cause, CONTROLLER, Channel.EMAIL.value, PURPOSE), **changed)
    return replace(WELCOME, blocks=(view,))


def without_consent(**changed: Any) -> Person:
    return replace(WELCOME, consent=None, **changed)


def test_consent_for_exactly_this_is_allowed_and_named() -> None:
    decision = decide(WELCOME, SCOPE)
    assert decision.refusal is None
    assert decision.consent_event_id == 77
    assert (decision.sentence, decision.paragraph) == ("Allowed.", "¶51")
    assert [step.refusal for step in decision.steps] == [None] * 10


REFUSALS: dict[str, tuple[Person, Scope, Reason]] = {
    "frozen": (
        WELCOME,
        replace(SCOPE, frozen_at=NOW - timedelta(days=1)),
        Reason.CONTROLLER_FROZEN,
    ),
    "no identity": (WELCOME, replace(SCOPE, has_sender_identity=False), Reason.NO_SENDER_IDENTITY),
    "no address": (replace(WELCOME, has_address=False), SCOPE, Reason.INVALID_ADDRESS),
    "objected": (replace(WELCOME, objected=True), SCOPE, Reason.OBJECTED),
    "block: objection": (blocked(BlockCause.OBJECTION), SCOPE, Reason.OBJECTED),
    "block: complaint": (blocked(BlockCause.COMPLAINT), SCOPE, Reason.SUPPRESSED),
    "block: opt-out": (blocked(BlockCause.OPT_OUT), SCOPE, Reason.SUPPRESSED),
    "block: bounce": (blocked(BlockCause.BOUNCE), SCOPE, Reason.BOUNCED),
    "block: invalid": (blocked(BlockCause.INVALID), SCOPE, Reason.INVALID_ADDRESS),
    "block: hold": (blocked(BlockCause.HOLD), SCOPE, Reason.HELD),
    "casework": (without_consent(source=ContactSource.CASEWORK), SCOPE, Reason.CASEWORK),
    "wrong channel": (
        without_consent(consented_on_other_channel=True),
        SCOPE,
        Reason.WRONG_CHANNEL,
    ),
    "wrong purpose": (
        without_consent(consented_to_other_purpose=True),
        SCOPE,
        Reason.WRONG_PURPOSE,
    ),
    "nothing on record": (without_consent(), SCOPE, Reason.NO_CONSENT),
    "no contact at all": (without_consent(source=None), SCOPE, Reason.NO_CONSENT),
    "bought list": (without_consent(source=ContactSource.THIRD_PARTY), SCOPE, Reason.NO_CONSENT),
    "only requested": (with_consent(status=ConsentKind.REQUESTED), SCOPE, Reason.ONLY_REQUESTED),
    "refused": (with_consent(status=ConsentKind.REFUSED), SCOPE, Reason.REFUSED),
    "withdrawn": (with_consent(status=ConsentKind.WITHDRAWN), SCOPE, Reason.WITHDRAWN),
    "objected in consent": (with_consent(status=ConsentKind.OBJECTED), SCOPE, Reason.OBJECTED),
    "invalidated": (with_consent(status=ConsentKind.INVALIDATED), SCOPE, Reason.INVALIDATED),
    "flaw: casework": (with_consent(flaw=ConsentFlaw.CASEWORK), SCOPE, Reason.CASEWORK),
    "flaw: third party": (with_consent(flaw=ConsentFlaw.THIRD_PARTY), SCOPE, Reason.THIRD_PARTY),
    "flaw: channel": (
        with_consent(flaw=ConsentFlaw.CHANNEL_NOT_NAMED),
        SCOPE,
        Reason.WRONG_CHANNEL,
    ),
    "flaw: purpose": (
        with_consent(flaw=ConsentFlaw.PURPOSE_NOT_NAMED),
        SCOPE,
        Reason.WRONG_PURPOSE,
    ),
    "ended": (with_consent(ends_at=NOW), SCOPE, Reason.ENDED),
    "stale": (with_consent(last_affirmative_at=months_before(NOW, 24)), SCOPE, Reason.STALE),
    "no act at all": (with_consent(last_affirmative_at=None), SCOPE, Reason.STALE),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_each_reason_refuses(name: str) -> None:
    person, scope, reason = REFUSALS[name]
    decision = decide(person, scope)
    assert decision.refusal is reason
    assert decision.consent_event_id is None
    assert decision.steps[-1].refusal is reason
    assert all(step.refusal is None for step in decision.steps[:-1])
    assert decision.sentence == RULES[reason].sentence
    assert decision.paragraph == RULES[reason].paragraph == decision.steps[-1].paragraph


def test_every_reason_of_the_policy_is_tried_and_worded() -> None:
    assert {reason for *_, reason in REFUSALS.values()} == set(RULES)
    assert all(rule.sentence and rule.paragraph.startswith("¶") for rule in RULES.values())


def test_no_word_of_the_vocabulary_slips_through() -> None:
    assert set(STATUS_REASONS) == {kind for kind in ConsentKind if not kind.is_affirmative}
    assert set(FLAW_REASONS) == set(ConsentFlaw) - {ConsentFlaw.NONE}
    assert set(CAUSE_REASONS) == set(BlockCause)


Repair = Callable[[Person, Scope], tuple[Person, Scope]]


def _person(**changed: Any) -> Repair:
    return lambda person, scope: (replace(person, **changed), scope)


def _scope(**changed: Any) -> Repair:
    return lambda person, scope: (person, replace(scope, **changed))


def _consent(**changed: Any) -> Repair:
    def repair(person: Person, scope: Scope) -> tuple[Person, Scope]:
        assert person.consent is not None
        return replace(person, consent=replace(person.consent, **changed)), scope

    return repair


def _unblocked(person: Person, scope: Scope) -> tuple[Person, Scope]:
    return replace(person, blocks=person.blocks[1:]), scope


BAD_CONSENT = ConsentView(
    status=ConsentKind.WITHDRAWN,
    event_id=78,
    last_affirmative_at=months_before(NOW, 30),
    ends_at=NOW - timedelta(days=1),
    flaw=ConsentFlaw.THIRD_PARTY,
)
ORDER: list[tuple[Reason, Repair]] = [
    (Reason.CONTROLLER_FROZEN, _scope(frozen_at=None)),
    (Reason.NO_SENDER_IDENTITY, _scope(has_sender_identity=True)),
    (Reason.INVALID_ADDRESS, _person(has_address=True)),
    (Reason.OBJECTED, _person(objected=False)),
    (Reason.OBJECTED, _unblocked),
    (Reason.SUPPRESSED, _unblocked),
    (Reason.SUPPRESSED, _unblocked),
    (Reason.BOUNCED, _unblocked),
    (Reason.INVALID_ADDRESS, _unblocked),
    (Reason.HELD, _unblocked),
    (Reason.CASEWORK, _person(source=ContactSource.DIRECT)),
    (Reason.WRONG_CHANNEL, _person(consented_on_other_channel=False)),
    (Reason.WRONG_PURPOSE, _person(consented_to_other_purpose=False)),
    (Reason.NO_CONSENT, _person(consent=BAD_CONSENT)),
    (Reason.WITHDRAWN, _consent(status=ConsentKind.GIVEN)),
    (Reason.THIRD_PARTY, _consent(flaw=ConsentFlaw.NONE)),
    (Reason.ENDED, _consent(ends_at=None)),
    (Reason.STALE, _consent(last_affirmative_at=NOW)),
]


def test_the_rules_run_in_one_order() -> None:
    """Somebody refused for everything: each repair uncovers the next reason."""
    person = Person(
        has_address=False,
        objected=True,
        source=ContactSource.CASEWORK,
        consent=None,
        consented_on_other_channel=True,
        consented_to_other_purpose=True,
        blocks=[BlockView(cause, EVERY, EVERY_CHANNEL, EVERY) for cause in BlockCause],
    )
    scope = replace(SCOPE, frozen_at=NOW - timedelta(days=1), has_sender_identity=False)
    for reason, repair in ORDER:
        assert decide(person, scope).refusal is reason
        person, scope = repair(person, scope)
    assert decide(person, scope).refusal is None


@pytest.mark.parametrize("cause", BlockCause)
@pytest.mark.parametrize(
    ("changed", "covers"),
    [
        ({}, True),
        ({"controller_id": EVERY}, True),
        ({"channel": EVERY_CHANNEL}, True),
        ({"purpose_id": EVERY}, True),
        ({"controller_id": EVERY, "channel": EVERY_CHANNEL, "purpose_id": EVERY}, True),
        ({"controller_id": OTHER_CONTROLLER}, False),
        ({"channel": Channel.SMS.value}, False),
        ({"purpose_id": OTHER_PURPOSE}, False),
        ({"controller_id": OTHER_CONTROLLER, "channel": EVERY_CHANNEL}, False),
        ({"controller_id": EVERY, "purpose_id": OTHER_PURPOSE}, False),
    ],
)
def test_a_block_covers_its_scope_and_no_more(
    cause: BlockCause,
    changed: dict[str, Any],
    covers: bool,  # noqa: FBT001 - parametrised
) -> None:
    person = blocked(cause, **changed)
    assert applies(person.blocks[0], SCOPE) is covers
    assert (decide(person, SCOPE).refusal is not None) is covers


def test_the_gravest_block_is_the_reason() -> None:
    causes = [BlockCause.HOLD, BlockCause.OPT_OUT, BlockCause.BOUNCE]
    views = [BlockView(cause, EVERY, EVERY_CHANNEL, EVERY) for cause in causes]
    assert decide(replace(WELCOME, blocks=views), SCOPE).refusal is Reason.SUPPRESSED


class TestCutOffs:
    """A moment that falls exactly on a limit is refused; one tick later is not."""

    def test_an_end_date_counts_from_its_own_moment(self) -> None:
        assert decide(with_consent(ends_at=NOW), SCOPE).refusal is Reason.ENDED
        assert decide(with_consent(ends_at=NOW + TICK), SCOPE).refusal is None

    def test_a_consent_is_stale_from_the_day_of_its_age(self) -> None:
        limit = months_before(NOW, 24)
        assert decide(with_consent(last_affirmative_at=limit), SCOPE).refusal is Reason.STALE
        assert decide(with_consent(last_affirmative_at=limit + TICK), SCOPE).refusal is None

    def test_a_warning_comes_from_18_months(self) -> None:
        limit = months_before(NOW, 18)
        assert decide(with_consent(last_affirmative_at=limit), SCOPE).about_to_go_stale
        assert not decide(with_consent(last_affirmative_at=limit + TICK), SCOPE).about_to_go_stale

    def test_an_earlier_end_wins_over_freshness(self) -> None:
        person = with_consent(ends_at=NOW - TICK, last_affirmative_at=NOW - timedelta(days=1))
        assert decide(person, SCOPE).refusal is Reason.ENDED

    @pytest.mark.parametrize(
        ("agreed", "shown", "refused"),
        [
            (TICK, TICK, False),
            (timedelta(0), TICK, True),
            (TICK, timedelta(0), True),
            (TICK, -TICK, True),
            (-TICK, TICK, True),
            (TICK, None, True),
        ],
    )
    def test_a_freeze_needs_a_later_yes_to_a_later_wording(
        self,
        agreed: timedelta,
        shown: timedelta | None,
        refused: bool,  # noqa: FBT001 - parametrised
    ) -> None:
        frozen_at = NOW - timedelta(days=5)
        shown_from = None if shown is None else frozen_at + shown
        person = with_consent(last_affirmative_at=frozen_at + agreed, notice_shown_from=shown_from)
        decision = decide(person, replace(SCOPE, frozen_at=frozen_at))
        assert decision.refusal is (Reason.CONTROLLER_FROZEN if refused else None)

    def test_a_purpose_is_over_from_the_moment_of_its_closure(self) -> None:
        assert decide(WELCOME, replace(SCOPE, closes_at=NOW)).refusal is Reason.ENDED
        assert decide(WELCOME, replace(SCOPE, closes_at=NOW + TICK)).refusal is None

    def test_a_frozen_body_is_spoken_for_by_nobodys_later_yes(self) -> None:
        frozen = replace(SCOPE, frozen_at=NOW - timedelta(days=90))
        assert decide(WELCOME, frozen).refusal is None
        named = replace(frozen, is_only_named=True)
        assert decide(WELCOME, named).refusal is Reason.CONTROLLER_FROZEN

    def test_a_freeze_refuses_whoever_has_no_consent_at_all(self) -> None:
        frozen = replace(SCOPE, frozen_at=NOW - timedelta(days=5))
        assert decide(without_consent(), frozen).refusal is Reason.CONTROLLER_FROZEN


MOMENTS = st.integers(-800, 0).map(lambda days: NOW + timedelta(days=days))
VIEWS = st.builds(
    ConsentView,
    status=st.sampled_from(ConsentKind),
    event_id=st.integers(1, 9),
    last_affirmative_at=st.none() | MOMENTS,
    ends_at=st.none() | st.integers(-5, 5).map(lambda days: NOW + timedelta(days=days)),
    flaw=st.sampled_from(ConsentFlaw),
    notice_shown_from=st.none() | MOMENTS,
)
BLOCKS = st.builds(
    BlockView,
    cause=st.sampled_from(BlockCause),
    controller_id=st.sampled_from([EVERY, CONTROLLER, OTHER_CONTROLLER]),
    channel=st.sampled_from([EVERY_CHANNEL, *[channel.value for channel in Channel]]),
    purpose_id=st.sampled_from([EVERY, PURPOSE, OTHER_PURPOSE]),
)
PEOPLE = st.builds(
    Person,
    has_address=st.booleans(),
    objected=st.booleans(),
    source=st.none() | st.sampled_from(ContactSource),
    consent=st.none() | VIEWS,
    consented_on_other_channel=st.booleans(),
    consented_to_other_purpose=st.booleans(),
    blocks=st.lists(BLOCKS, max_size=3).map(tuple),
)
SCOPES = st.builds(
    Scope,
    controller_id=st.just(CONTROLLER),
    channel=st.sampled_from(Channel),
    purpose_id=st.just(PURPOSE),
    at=st.just(NOW),
    freshness=st.sampled_from([FreshnessPolicy(), FreshnessPolicy(3, 6)]),
    frozen_at=st.none() | MOMENTS,
    has_sender_identity=st.booleans(),
)


@given(PEOPLE, SCOPES)
def test_whoever_is_allowed_agreed_and_nothing_speaks_against_it(
    person: Person, scope: Scope
) -> None:
    decision = decide(person, scope)
    if decision.refusal is not None:
        return
    consent = person.consent
    assert consent is not None
    assert consent.last_affirmative_at is not None
    assert decision.consent_event_id == consent.event_id
    assert consent.status.is_affirmative
    assert consent.flaw is ConsentFlaw.NONE
    assert consent.last_affirmative_at > scope.fresh_after
    assert consent.ends_at is None or consent.ends_at > scope.at
    assert person.has_address
    assert not person.objected
    assert scope.has_sender_identity
    assert not any(applies(block, scope) for block in person.blocks)


@given(PEOPLE, SCOPES, BLOCKS)
def test_a_block_more_never_allows(person: Person, scope: Scope, block: BlockView) -> None:
    more = replace(person, blocks=(*person.blocks, block))
    if decide(person, scope).refusal is not None:
        assert decide(more, scope).refusal is not None


@given(PEOPLE, SCOPES, st.integers(0, 40))
def test_a_stricter_campaign_never_allows_more(person: Person, scope: Scope, months: int) -> None:
    stricter = replace(scope, freshness=scope.freshness.tightened(months))
    if decide(person, scope).refusal is not None:
        assert decide(person, stricter).refusal is not None


@given(PEOPLE, SCOPES, st.timedeltas(timedelta(0), timedelta(days=900)))
def test_time_passing_never_allows(person: Person, scope: Scope, later: timedelta) -> None:
    if decide(person, scope).refusal is not None:
        assert decide(person, replace(scope, at=scope.at + later)).refusal is not None


@given(PEOPLE, SCOPES)
def test_the_trace_ends_with_the_rule_that_refused(person: Person, scope: Scope) -> None:
    decision: Decision = decide(person, scope)
    assert all(step.rule and step.looked_at and step.paragraph for step in decision.steps)
    assert [step.refusal for step in decision.steps[:-1]] == [None] * (len(decision.steps) - 1)
    assert decision.steps[-1].refusal is decision.refusal
