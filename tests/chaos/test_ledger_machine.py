"""Any order of planning, claiming, sending, crashing, recovering, noes, events and moves of a run.

Hypothesis looks for an order that breaks an invariant of the ledger, and makes it short.
CHAOS_ROUNDS=200 makes it long.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from sender.delivery.audience import ContactAudience
from sender.delivery.dispatch import Dispatcher
from sender.delivery.lanes import Lanes
from sender.delivery.planning import plan_next
from sender.delivery.runs import SENDABLE, cancel, get_run, move, pause
from sender.delivery.shares import Chunk
from sender.delivery.sweep import sweep
from sender.errors import RefusedError
from sender.inbound.receive import receive
from sender.providers.events import Notification, ProviderEvent
from sender.rendering.profile import Recipient
from sender.store.campaigns import Campaign
from sender.store.contacts import ContactPoint
from sender.store.deliveries import Delivery
from sender.store.engine import Store, open_store
from sender.store.keys import register_key
from sender.vocabulary import (
    Arrival,
    BlockCause,
    Channel,
    DeliveryState,
    EventKind,
    ProviderName,
    RunState,
)
from tests.support.chaos_world import ROUNDS
from tests.support.dispatch_world import make_renderer
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    add_campaign,
    add_campaign_version,
    add_contact,
    add_point,
    add_policy,
    add_run,
    block,
    establish,
    record_consent,
)
from tests.support.ledger_model import (
    CAP,
    CAP_DAYS,
    OUTCOMES,
    DyingBatch,
    FreePace,
    HeldClock,
    OneMessage,
    PowerCutError,
    ScriptedProvider,
    Truth,
    message_id,
)
from tests.support.ledger_watch import LedgerWatch
from tests.support.tally import Tally

PEOPLE = 16
MOST_RUNS = 4
MOST_DISPATCHERS = 4
SILENCE = timedelta(seconds=31)
PAUSES = [timedelta(seconds=6), SILENCE, timedelta(minutes=2), timedelta(days=8)]
STEERING = ("open", "open", "plan", "plan", "pause", "resume", "resume", "amend", "amend", "cancel")
DISPATCHING = ("enter", "enter", "read", "beat", "leave", "die")
EVENTS = [EventKind.SENT, EventKind.DELIVERED, EventKind.BOUNCED, EventKind.COMPLAINED]
BLOCKS = {EventKind.BOUNCED: BlockCause.BOUNCE, EventKind.COMPLAINED: BlockCause.COMPLAINT}
MESSAGE = make_renderer().render(
    Recipient("pat@example.org", {}, "https://out.example.org/u/x", None)
)
_numbers = count(1)


@dataclass(frozen=True)
class Story:
    """What becomes of one batch.

    Attributes:
        outcomes: of its messages, in turn.
        before: what happens before the last look.
        during: what happens while the call is under way.
        dies: whether the process dies between the call and its record.
    """

    outcomes: tuple[str, ...]
    before: tuple[str, ...] = ()
    during: tuple[str, ...] = ()
    dies: bool = False


def _some(*acts: str) -> st.SearchStrategy[tuple[str, ...]]:
    """Mostly nothing, and rarely what ends a run."""
    sometimes = [(act,) for act in acts]
    return st.sampled_from([()] * 5 * len(acts) + sometimes * 2 + [("cancel",)])


STORIES = st.builds(
    Story,
    outcomes=st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=4).map(tuple),
    before=_some("no", "pause", "silence", "taken over"),
    during=_some("no", "pause", "silence", "taken over", "told", "told", "raise"),
    dies=st.sampled_from([False] * 5 + [True]),
)


Act = Story | EventKind | timedelta | str
ACTS: st.SearchStrategy[Act] = st.one_of(
    *[STORIES] * 6,
    st.sampled_from(DISPATCHING),
    st.sampled_from(STEERING),
    st.sampled_from([*EVENTS, *PAUSES, "no", "sweep"]),
)


@dataclass
class Hand:
    """A dispatcher at work, with the people that it has read but not sent to yet."""

    dispatcher: Dispatcher
    provider: ScriptedProvider
    pace: FreePace
    chunk: Chunk | None = None


@dataclass
class Plot:
    """What happens in the middle of a step."""

    acts: list[Callable[[], None]] = field(default_factory=list)

    def __call__(self) -> None:
        acts, self.acts = self.acts, []
        for act in acts:
            act()


class LedgerMachine(RuleBasedStateMachine):
    """One organisation, its people, a few runs of theirs, and dispatchers that come and go."""

    store: ClassVar[Store]
    tally: ClassVar[Tally]

    def __init__(self) -> None:
        super().__init__()
        self.clock = HeldClock(NOW)
        self.truth = Truth(self.clock)
        self.watches: dict[int, LedgerWatch] = {}
        self.hands: list[Hand] = []
        with self.store.write() as session:
            register_key(session, HASHER, NOW)
            self.organisation = establish(session, f"organisation-{next(_numbers)}")
            caps = [{"messages": CAP, "days": CAP_DAYS, "across_channels": False}]
            controller = self.organisation.controller
            add_policy(session, controller, frequency_caps={"caps": caps})
            self.points = [
                add_point(session, add_contact(session, controller)) for _ in range(PEOPLE)
            ]
            for point in self.points:
                record_consent(session, self.organisation, point.address_id)
        self.audience = ContactAudience(self.organisation.id, Channel.EMAIL)

    # One rule for all acts: of several, hypothesis switches most off in each example ("swarm"),
    # and nobody would ever be sent anything.

    # Runs

    @initialize()
    def open_the_first(self) -> None:
        self.open_and_confirm()

    @rule(act=ACTS, number=st.integers(0, 99), size=st.integers(1, 4))
    def step(self, act: Act, number: int, size: int) -> None:
        if isinstance(act, Story):
            self._carry_on(number, size, act)
        elif act in DISPATCHING:
            self._dispatch(act, number, size)
        elif act in STEERING:
            self._steer(act, self._run(number))
        else:
            self._happen(act, number)

    def _steer(self, act: Act, run_id: int) -> None:
        if act == "open":
            self.open_and_confirm()
        elif act == "plan":
            plan_next(self.store, self.clock, run_id, self.audience)
        elif act == "pause":
            self._pause(run_id)
        elif act == "resume":
            self._resume(run_id)
        elif act == "amend":
            self._amend(run_id)
        else:
            self._cancel(run_id)

    def open_and_confirm(self) -> None:
        if len(self.watches) == MOST_RUNS:
            return
        with self.store.write() as session:
            controller = self.organisation.controller
            _, version = add_campaign(session, controller, f"campaign-{len(self.watches)}")
            run = add_run(session, self.organisation, version)
            move(session, run, RunState.READY, now=self.clock.now(), operator=OPERATOR)
        self.watches[run.id] = LedgerWatch(self.store, run.id, self._taken_of(run.id))

    def _taken_of(self, run_id: int) -> Callable[[], Counter[int]]:
        def taken() -> Counter[int]:
            with self.store.read() as session:
                query = select(Delivery.id).where(Delivery.run_id == run_id)
                mine = set(session.scalars(query))
            return Counter({one: n for one, n in self.truth.taken.items() if one in mine})

        return taken

    def _run(self, number: int) -> int:
        """Return a run, an open one if there is any."""
        with self.store.read() as session:
            runs = [run for run in self.watches if get_run(session, run).state.is_open]
        runs = runs or list(self.watches)
        return runs[number % len(runs)]

    def _pause(self, run_id: int) -> None:
        self._try(lambda session: pause(session, run_id, now=self.clock.now(), operator="olive"))

    def _cancel(self, run_id: int) -> None:
        self._try(lambda session: cancel(session, run_id, now=self.clock.now(), operator="olive"))

    def _resume(self, run_id: int) -> None:
        now = self.clock.now()
        with self.store.write() as session:
            run = get_run(session, run_id, lock=True)
            if run.state is RunState.PAUSING:
                pause(session, run_id, now=now, operator="olive")
            if run.state in SENDABLE and run.state is not RunState.RUNNING:
                run.unanswered, run.deferred_until = None, None
                move(session, run, RunState.READY, now=now, operator="olive")

    def _amend(self, run_id: int) -> None:
        with self.store.write() as session:
            run = get_run(session, run_id, lock=True)
            if run.state is RunState.PAUSED:
                campaign, version = session.get_one(Campaign, run.campaign_id), next(_numbers)
                text = f"name = '{version}'"
                row = add_campaign_version(session, campaign, version=version + 1, text=text)
                run.version_id = row.id

    def _try(self, act: Callable[[Any], object]) -> None:
        try:
            with self.store.write() as session:
                act(session)
        except RefusedError:
            pass

    # People and providers

    def _happen(self, act: Act, number: int) -> None:
        taken = sorted(self.truth.taken)
        if isinstance(act, timedelta):
            self.clock.seconds += act.total_seconds()
        elif act == "no":
            self._say_no(self.points[number % PEOPLE])
        elif act == "sweep":
            self._sweep()
        elif taken:
            self._tell(taken[number % len(taken)], EventKind(str(act)))

    def _say_no(self, point: ContactPoint) -> None:
        with self.store.write() as session:
            now = self.clock.now()
            block(
                session, point.address_id, controller=self.organisation.controller,
                occurred_at=now, now=now,
            )  # fmt: skip
        self.truth.said_no.add(point.address_id)

    def _tell(self, delivery_id: int, kind: EventKind) -> None:
        """Tell what became of a message; of the same thing again under the same name."""
        with self.store.write() as session:
            row = session.get_one(Delivery, delivery_id)
            address = session.get_one(ContactPoint, row.contact_point_id).address
            event = ProviderEvent(
                kind=kind, raw_type=kind.value, occurred_at=self.clock.now(), channel=Channel.EMAIL,
                address=address, delivery_id=delivery_id, run_id=row.run_id,
                provider_message_id=message_id(delivery_id), block=BLOCKS.get(kind),
            )  # fmt: skip
            name = f"{kind.value}-{delivery_id}"
            told = Notification(ProviderName.SES, name, kind.value, (event,), {})
            receive(
                session, HASHER, told, account_id=None, arrived_by=Arrival.WEBHOOK,
                now=self.clock.now(), keep_for=timedelta(days=1),
            )  # fmt: skip
        if kind in BLOCKS:
            self.truth.said_no.add(row.address_id)

    # Dispatchers

    def _dispatch(self, act: Act, number: int, size: int) -> None:
        if act == "enter":
            if len(self.hands) < MOST_DISPATCHERS:
                self._enter(self._run(number))
            return
        for hand in [self.hands[number % len(self.hands)]] if self.hands else []:
            if act == "read":
                self._read(hand, size)
            elif act == "beat":
                hand.dispatcher._beat(self.clock.now())
            elif act == "leave":
                self._leave(hand)
            else:
                self._drop(hand)

    def _enter(self, run_id: int) -> Hand | None:
        provider, pace = ScriptedProvider(self.truth), FreePace()
        with self.store.read() as session:
            run = get_run(session, run_id)
        given: Any = (provider, OneMessage(MESSAGE), pace)  # only what a dispatcher uses of each
        dispatcher = Dispatcher(
            store=self.store, hasher=HASHER, clock=self.clock, provider=given[0], renderer=given[1],
            opt_out_url=str, run_id=run_id, version_id=run.version_id, operator=OPERATOR,
            pace=given[2], by_hand=False, audience=self.audience,
        )  # fmt: skip
        try:
            dispatcher._enter()
        except RefusedError:
            return None
        dispatcher._lanes = Lanes(1, self.clock.monotonic)
        self.hands.append(Hand(dispatcher, provider, pace))
        return self.hands[-1]

    def _read(self, hand: Hand, size: int) -> None:
        if hand.chunk is not None:
            return
        hand.chunk = hand.dispatcher._shares.next_chunk(size)
        if hand.chunk is not None:
            for person in hand.chunk.people:
                self.truth.address_of[person.delivery_id] = person.address_id

    def _carry_on(self, number: int, size: int, story: Story) -> None:
        """One batch, of somebody who has read one already, or all that it takes to get there."""
        ready = [hand for hand in self.hands if hand.chunk]
        run_id = self._run(number)
        use_ready = ready and number % 3
        hand = ready[number % len(ready)] if use_ready else self._reader(run_id, size)
        if hand is None:
            self.clock.seconds += 2 * SILENCE.total_seconds()
            self._sweep()
            self._resume(run_id)
            hand = self._reader(run_id, size)
        if hand is not None:
            self._tell_story(hand, story)

    def _reader(self, run_id: int, size: int) -> Hand | None:
        """Return somebody on a run who has read a batch; who finds none leaves."""
        mine = [hand for hand in self.hands if hand.dispatcher.run_id == run_id]
        hand = mine[0] if mine else self._enter(run_id)
        if hand is None:
            return None
        self._read(hand, size)
        if hand.chunk is None:
            self._leave(hand)
            return None
        return hand

    def _tell_story(self, hand: Hand, story: Story) -> None:
        hand.provider.script = list(story.outcomes)
        hand.pace.meanwhile = Plot([self._act(name, hand) for name in story.before])
        hand.provider.during = Plot([self._act(name, hand) for name in story.during])
        self._send(hand, dies=story.dies)

    def _send(self, hand: Hand, *, dies: bool = False) -> None:
        assert hand.chunk is not None
        chunk, hand.chunk = hand.chunk, None
        batch = hand.dispatcher._batch(chunk.closes_at)
        try:
            end = (DyingBatch.of(batch) if dies else batch).send(chunk.people)
        except PowerCutError:
            self.tally["power cuts between call and record"] += 1
            self._leave_for_dead(hand, [person.delivery_id for person in chunk.people])
            return
        except ZeroDivisionError:
            return
        chunk.share.under_way -= 1
        hand.dispatcher._take(end)
        hand.dispatcher._shares.let_go_if_done(chunk.share)

    def _leave_for_dead(self, hand: Hand, delivery_ids: list[int]) -> None:
        """Of what a dead process had marked nobody knows anything: none of it may go again."""
        with self.store.read() as session:
            query = select(Delivery.id).where(
                Delivery.id.in_(delivery_ids),
                Delivery.state.in_([DeliveryState.DISPATCHING, DeliveryState.UNKNOWN]),
            )
            self.truth.settled.update(session.scalars(query))
        self._drop(hand)

    def _act(self, name: str, hand: Hand) -> Callable[[], None]:
        run_id = hand.dispatcher.run_id
        people = list(hand.chunk.people) if hand.chunk else []
        return {
            "no": lambda: self._say_no(self._point_of(people[0].address_id)),
            "pause": lambda: self._pause(run_id),
            "cancel": lambda: self._cancel(run_id),
            "silence": self._fall_silent,
            "taken over": lambda: self._take_over(run_id),
            "told": lambda: self._tell_early([person.delivery_id for person in people]),
            "raise": _raise,
        }[name]

    def _point_of(self, address_id: int) -> ContactPoint:
        return next(point for point in self.points if point.address_id == address_id)

    def _fall_silent(self) -> None:
        self.clock.seconds += SILENCE.total_seconds()
        self._sweep()

    def _take_over(self, run_id: int) -> None:
        """Let another dispatcher send to those whom a silent one has in hand."""
        self._fall_silent()
        other = self._enter(run_id)
        if other is not None:
            self._read(other, 4)
            if other.chunk is not None:
                self._send(other)

    def _tell_early(self, delivery_ids: list[int]) -> None:
        for delivery_id in delivery_ids:
            if delivery_id in self.truth.taken:
                self._tell(delivery_id, EventKind.DELIVERED)

    def _leave(self, hand: Hand) -> None:
        hand.dispatcher._leave(interrupted=False)
        self._drop(hand)

    def _drop(self, hand: Hand) -> None:
        hand.dispatcher._lanes.close()
        self.hands.remove(hand)

    def _sweep(self) -> None:
        sweep(self.store, self.clock, OPERATOR)

    # What always holds

    @invariant()
    def everybody_is_in_one_place_and_nobody_falls_back(self) -> None:
        for watch in self.watches.values():
            watch.look()

    def teardown(self) -> None:
        """Whatever happened, those who carry on bring every run to its end by themselves."""
        for hand in list(self.hands):
            self._drop(hand)
        self.tally["messages taken in random order"] += self.truth.taken.total()
        self.tally["random orders"] += 1
        for run_id in self.watches:
            self._bring_to_its_end(run_id)
        for delivery_id in self.truth.taken:
            self._tell(delivery_id, EventKind.DELIVERED)
        for watch in self.watches.values():
            counts = watch.look()
            assert not counts[DeliveryState.PENDING] + counts[DeliveryState.DISPATCHING]
        with self.store.read() as session:
            states = session.scalars(
                select(Delivery.state).where(Delivery.id.in_(self.truth.taken))
            )
            assert set(states) <= {DeliveryState.DELIVERED, DeliveryState.FAILED}

    def _bring_to_its_end(self, run_id: int) -> None:
        for _ in range(3 * PEOPLE):
            self.clock.seconds += 2 * SILENCE.total_seconds()
            self._sweep()
            with self.store.read() as session:
                if not get_run(session, run_id).state.is_open:
                    return
            self._resume(run_id)
            hand = self._enter(run_id)
            if hand is None:
                continue
            self._read(hand, 4)
            while hand.chunk is not None:
                self._send(hand)
                self._read(hand, 4)
            self._leave(hand)
        raise AssertionError("a run does not come to its end")


def _raise() -> None:
    raise ZeroDivisionError


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = open_store(database_url)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sender.delivery.planning.RANGE_SIZE", 5)
    monkeypatch.setattr("sender.delivery.planning.PART_SIZE", 2)


def test_no_order_of_things_breaks_the_ledger(store: Store, dialect: str, tally: Tally) -> None:
    examples = ROUNDS * (5 if dialect == "sqlite" else 2)
    LedgerMachine.store, LedgerMachine.tally = store, tally
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(max_examples=examples, stateful_step_count=30, deadline=None),
    )
