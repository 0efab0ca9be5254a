"""What one dispatcher has in hand of its run: parts that it claimed, and planned if need be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sender.clock import Clock
from sender.delivery.audience import Audience
from sender.delivery.hours import Hours, postpone
from sender.delivery.parts import Part, claim, let_go
from sender.delivery.planning import plan_next
from sender.delivery.recipients import Addressee, waiting_people
from sender.delivery.recovery import was_ended
from sender.delivery.runs import skip
from sender.store.campaigns import Run
from sender.store.engine import Store
from sender.vocabulary import Reason


@dataclass(slots=True)
class Share:
    """A part in hand: how far it was read, and how many of its batches are under way."""

    part: Part
    cursor: int
    under_way: int = 0
    is_read: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """People who may be written to now.

    Attributes:
        share: of which part they are.
        people: at least one, in order of address id.
        closes_at: when the sending hours of the first of them end; None: never.
    """

    share: Share
    people: Sequence[Addressee]
    closes_at: datetime | None


@dataclass(slots=True)
class Shares:
    """The parts in hand. Used by one thread.

    Attributes:
        store: the database.
        clock: the time.
        run_id: which run.
        dispatcher_id: whose parts.
        hours: of the run.
        audience: whom the run is about, to plan what is not planned; None: all is.
        may_plan: whether planning may go on.
        on_planned: told how many people each planned range held.
        out_of_hours: how many people were skipped because their hours begin too late.
    """

    store: Store
    clock: Clock
    run_id: int
    dispatcher_id: int
    hours: Hours
    audience: Audience | None
    may_plan: Callable[[], bool]
    on_planned: Callable[[int], None]
    out_of_hours: int = 0
    _held: list[Share] = field(default_factory=list)

    def next_chunk(self, size: int) -> Chunk | None:
        """Return the next people, at most `size`, of a part in hand or a new one; None: no more.

        Raises:
            TooManyRecipientsError: planning would bring more people in than the run may have.
        """
        while (share := self._unread()) is not None:
            now = self.clock.now()
            with self.store.read() as session:
                found = waiting_people(
                    session,
                    session.get_one(Run, self.run_id),
                    above=share.cursor,
                    through=share.part.through,
                    most=size,
                    now=now,
                )
            share.is_read = len(found) < size
            if found:
                share.cursor = found[-1].address_id
            people, closes_at = self._in_their_hours(found, now)
            if people:
                share.under_way += 1
                return Chunk(share, people, closes_at)
            self.let_go_if_done(share)
        return None

    def let_go_if_done(self, share: Share) -> None:
        """Let go of a part that was read to its end and of which no batch is under way."""
        if not share.is_read or share.under_way:
            return
        self._held.remove(share)
        with self.store.write() as session:
            let_go(session, share.part, self.run_id, self.dispatcher_id, self.clock.now())

    def _unread(self) -> Share | None:
        for share in self._held:
            if not share.is_read:
                return share
        while True:
            with self.store.write() as session:
                if was_ended(session, self.dispatcher_id):  # whoever is taken for lost has no say
                    return None
                part = claim(session, self.run_id, self.dispatcher_id, self.clock.now())
            if part is not None:
                self._held.append(Share(part, part.above))
                return self._held[-1]
            if not self._plan_more():
                return None

    def _plan_more(self) -> bool:
        """Plan a range of the run; False when there is none to plan here."""
        if self.audience is None or not self.may_plan():
            return False
        people = plan_next(self.store, self.clock, self.run_id, self.audience)
        if people is None:
            return False
        self.on_planned(people)
        return True

    def _in_their_hours(
        self, people: Sequence[Addressee], now: datetime
    ) -> tuple[Sequence[Addressee], datetime | None]:
        """Let those wait whose sending hours it is not; the others go until the first hour ends."""
        sorted_out = self.hours.sort(people, now)
        if sorted_out.later or sorted_out.never:
            with self.store.write() as session:
                postpone(session, sorted_out.later)
                skip(session, [(key, Reason.OUTSIDE_WINDOW) for key in sorted_out.never])
        self.out_of_hours += len(sorted_out.never)
        return sorted_out.now, sorted_out.closes_at
