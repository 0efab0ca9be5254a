"""The fold of consent events: a no wins ties, and an import never lifts one."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.consent.fold import EventView, fold
from sender.consent.policy import ConsentView
from sender.vocabulary import ConsentFlaw, ConsentKind
from tests.support.factory import NOW

NEGATIVES = [kind for kind in ConsentKind if kind.is_negative]
AFFIRMATIVES = [kind for kind in ConsentKind if kind.is_affirmative]


def day(number: int) -> datetime:
    return NOW - timedelta(days=100 - number)


def event(
    event_id: int,
    kind: ConsentKind,
    on_day: int,
    *,
    imported: bool = False,
    flaw: ConsentFlaw = ConsentFlaw.NONE,
) -> EventView:
    return EventView(event_id, kind, day(on_day), imported, flaw)


def folded(*events: EventView) -> ConsentView:
    view = fold(events)
    assert view is not None
    return view


def is_yes(view: ConsentView | None) -> bool:
    return view is not None and view.status.is_affirmative and view.flaw is ConsentFlaw.NONE


@st.composite
def histories(draw: st.DrawFn, *, imported: bool | None = None) -> list[EventView]:
    """Events in the order of recording; few days, so that many fall together."""
    size = draw(st.integers(0, 7))
    return [
        EventView(
            event_id=number,
            kind=draw(st.sampled_from(ConsentKind)),
            occurred_at=day(draw(st.integers(0, 4))),
            imported=draw(st.booleans()) if imported is None else imported,
            flaw=draw(st.sampled_from(ConsentFlaw)),
            ends_at=draw(st.none() | st.integers(0, 200).map(day)),
            notice_shown_from=draw(st.none() | st.integers(0, 4).map(day)),
        )
        for number in range(1, size + 1)
    ]


def test_no_events_are_no_state() -> None:
    assert fold([]) is None


def test_every_kind_is_a_yes_a_no_or_only_a_question() -> None:
    questions = {kind for kind in ConsentKind if not kind.is_affirmative and not kind.is_negative}
    assert questions == {ConsentKind.REQUESTED}
    assert not set(AFFIRMATIVES) & set(NEGATIVES)


@pytest.mark.parametrize("no", NEGATIVES)
@pytest.mark.parametrize("yes", AFFIRMATIVES)
@pytest.mark.parametrize("no_is_recorded_first", [True, False])
def test_a_no_wins_a_tie(no: ConsentKind, yes: ConsentKind, no_is_recorded_first: bool) -> None:  # noqa: FBT001 - parametrised
    no_id, yes_id = (1, 2) if no_is_recorded_first else (2, 1)
    view = folded(event(no_id, no, 5), event(yes_id, yes, 5))
    assert (view.status, view.event_id) == (no, no_id)


@pytest.mark.parametrize("no", NEGATIVES)
def test_a_later_yes_of_the_person_lifts_a_no(no: ConsentKind) -> None:
    view = folded(event(1, no, 5), event(2, ConsentKind.GIVEN, 6))
    assert (view.status, view.event_id) == (ConsentKind.GIVEN, 2)


@pytest.mark.parametrize("no", NEGATIVES)
def test_an_imported_yes_never_beats_a_no_recorded_before_it(no: ConsentKind) -> None:
    view = folded(event(1, no, 5), event(2, ConsentKind.GIVEN, 99, imported=True))
    assert (view.status, view.event_id) == (no, 1)


def test_an_imported_yes_stands_against_an_older_no_that_arrives_after_it() -> None:
    view = folded(event(1, ConsentKind.GIVEN, 6, imported=True), event(2, ConsentKind.WITHDRAWN, 5))
    assert view.status is ConsentKind.GIVEN


def test_a_no_that_arrives_late_leaves_a_later_yes_standing() -> None:
    view = folded(event(1, ConsentKind.GIVEN, 6), event(2, ConsentKind.WITHDRAWN, 5))
    assert (view.status, view.event_id) == (ConsentKind.GIVEN, 1)


def test_a_genuine_yes_after_a_refused_import_counts() -> None:
    view = folded(
        event(1, ConsentKind.WITHDRAWN, 5),
        event(2, ConsentKind.GIVEN, 9, imported=True),
        event(3, ConsentKind.GIVEN, 8),
    )
    assert (view.status, view.event_id, view.last_affirmative_at) == (ConsentKind.GIVEN, 3, day(8))


def test_a_question_is_no_answer_and_takes_none_away() -> None:
    assert folded(event(1, ConsentKind.REQUESTED, 5)).status is ConsentKind.REQUESTED
    given_first = [event(1, ConsentKind.GIVEN, 5), event(2, ConsentKind.REQUESTED, 6)]
    assert folded(*given_first).status is ConsentKind.GIVEN
    withdrawn_first = [event(1, ConsentKind.WITHDRAWN, 5), event(2, ConsentKind.REQUESTED, 6)]
    assert folded(*withdrawn_first).status is ConsentKind.WITHDRAWN


def test_a_flawed_yes_neither_replaces_nor_renews_a_sound_one() -> None:
    view = folded(
        event(1, ConsentKind.GIVEN, 5),
        event(2, ConsentKind.GIVEN, 6, flaw=ConsentFlaw.THIRD_PARTY),
    )
    assert (view.event_id, view.last_affirmative_at) == (1, day(5))
    assert view.flaw is ConsentFlaw.NONE


def test_a_flawed_yes_alone_tells_its_flaw() -> None:
    view = folded(event(1, ConsentKind.GIVEN, 6, flaw=ConsentFlaw.CASEWORK))
    assert view.flaw is ConsentFlaw.CASEWORK


def test_a_yes_renews_and_brings_its_own_end_and_notice() -> None:
    first = replace(event(1, ConsentKind.GIVEN, 5), ends_at=day(50), notice_shown_from=day(1))
    second = replace(event(2, ConsentKind.RECONFIRMED, 7), notice_shown_from=day(2))
    view = folded(first, second)
    assert view == ConsentView(
        ConsentKind.RECONFIRMED, 2, day(7), ends_at=None, notice_shown_from=day(2)
    )


def test_the_gravest_no_of_one_moment_is_reported() -> None:
    view = folded(
        event(1, ConsentKind.OBJECTED, 5),
        event(2, ConsentKind.WITHDRAWN, 5),
        event(3, ConsentKind.INVALIDATED, 5),
    )
    assert view.status is ConsentKind.OBJECTED


def test_a_denied_state_lends_nothing_to_a_freeze() -> None:
    sound = replace(event(1, ConsentKind.GIVEN, 5), notice_shown_from=day(4), ends_at=day(99))
    view = folded(sound, event(2, ConsentKind.WITHDRAWN, 6))
    assert (view.notice_shown_from, view.ends_at) == (None, None)


@given(histories(), st.sampled_from(NEGATIVES))
def test_a_no_of_now_always_ends_it(history: list[EventView], no: ConsentKind) -> None:
    latest = EventView(len(history) + 1, no, day(4), imported=False)
    assert not folded(*history, latest).status.is_affirmative


@given(histories(), st.sampled_from(NEGATIVES), st.integers(0, 4), st.booleans(), st.integers(0, 7))
def test_a_no_more_never_makes_a_yes(
    history: list[EventView],
    no: ConsentKind,
    on_day: int,
    imported: bool,  # noqa: FBT001 - generated
    place: int,
) -> None:
    more = _inserted(history, EventView(0, no, day(on_day), imported), min(place, len(history)))
    if not is_yes(fold(history)):
        assert not is_yes(fold(more))


@given(histories(imported=False), st.randoms(use_true_random=False))
def test_the_order_of_recording_does_not_matter_without_imports(
    history: list[EventView], random: object
) -> None:
    shuffled = list(history)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis gives a random.Random
    renumbered = [replace(one, event_id=number) for number, one in enumerate(shuffled, 1)]
    assert _outcome(fold(history)) == _outcome(fold(renumbered))


@given(histories())
def test_the_order_of_reading_never_matters(history: list[EventView]) -> None:
    assert fold(history) == fold(list(reversed(history)))


@given(histories())
def test_an_import_after_a_no_lifts_nothing(history: list[EventView]) -> None:
    before = fold(history)
    imported = EventView(len(history) + 1, ConsentKind.GIVEN, day(99), imported=True)
    any_no = any(one.kind.is_negative for one in history)
    assert is_yes(fold([*history, imported])) == (is_yes(before) if any_no else True)


@given(histories())
def test_the_yes_relied_on_is_later_than_every_no(history: list[EventView]) -> None:
    view = fold(history)
    if not is_yes(view):
        return
    assert view is not None
    relied_on = next(one for one in history if one.event_id == view.event_id)
    assert relied_on.kind.is_affirmative
    assert relied_on.occurred_at == view.last_affirmative_at
    for no in (one for one in history if one.kind.is_negative):
        assert no.occurred_at < relied_on.occurred_at
        assert not (relied_on.imported and no.event_id < relied_on.event_id)


def _inserted(history: Sequence[EventView], new: EventView, place: int) -> list[EventView]:
    whole = [*history[:place], new, *history[place:]]
    return [replace(one, event_id=number) for number, one in enumerate(whole, 1)]


def _outcome(view: ConsentView | None) -> tuple[object, ...] | None:
    """All that a decision looks at. Which of two alike events is named may differ."""
    if view is None:
        return None
    if view.status is ConsentKind.REQUESTED:
        return (view.status,)
    soundness = view.flaw is ConsentFlaw.NONE
    return (view.status.is_affirmative, soundness, view.last_affirmative_at)
