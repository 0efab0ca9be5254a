"""One batch through the fixed order: render and check, wait for the rate, look and mark, call.

A batch is everybody of one last look: one provider call, or several side by side.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.exc import DBAPIError, OperationalError

from sender.clock import Clock
from sender.delivery.frequency import PeopleBusyError
from sender.delivery.lanes import Call, Lanes
from sender.delivery.last_look import LAST_LOOK_LIFETIME, Look, Prepared, look_and_mark
from sender.delivery.outcomes import Outcome, record_outcomes, take_back
from sender.delivery.pace import Pace
from sender.delivery.recipients import Addressee
from sender.delivery.runs import get_run, skip
from sender.delivery.uncompared import block_listed
from sender.providers.base import (
    Accepted,
    BatchResult,
    Directive,
    NotStarted,
    Outgoing,
    Provider,
    Rejected,
    Result,
    Unknown,
)
from sender.providers.outcome import gravest
from sender.rendering.message import RenderedMessage, RenderedSms
from sender.rendering.profile import Recipient
from sender.rendering.refusal import MessageRefused
from sender.rendering.testmark import marked_as_test
from sender.store.engine import Store
from sender.store.journal import JournalError
from sender.store.keys import AddressHasher
from sender.suppression.foreign import has_uncompared
from sender.vocabulary import Channel, Reason

PROVIDER_HOLDS = timedelta(minutes=15)
"""How long a provider may hold a message back: its queue outlives a STOP."""

_WAIT_SLICE = timedelta(milliseconds=250)

_RECORD_AGAIN_AFTER = (timedelta(milliseconds=200), timedelta(seconds=1), timedelta(seconds=3))
"""Only writing down is tried again, never a call: each outcome saved is one unknown less."""

_TURN_HOLDS = timedelta(milliseconds=500)
"""A turn at the account's rate that was not used by then is lost: the rate went to nobody."""

_RECORD_WITHIN = timedelta(seconds=1)
"""Outcomes of quick calls don't wait longer than this for those of slow ones."""


class Renderer(Protocol):
    """Makes one person's message. Safe to use from several threads at once."""

    @property
    def fields_used(self) -> frozenset[str]:
        """The recipient fields that the templates name; these are kept with the delivery."""
        ...

    def render(self, recipient: Recipient) -> RenderedMessage:
        """Return the finished, checked message.

        Raises:
            MessageRefused: it cannot be made, or does not pass the check.
        """
        ...


@dataclass(frozen=True, slots=True)
class BatchEnd:
    """What became of a batch, in numbers, and what it means for the run."""

    accepted: int = 0
    skipped: int = 0
    rejected: int = 0
    returned: int = 0
    unknown: int = 0
    untouched: int = 0
    calls: int = 0
    directive: Directive | None = None

    @property
    def never_started(self) -> bool:
        """Whether messages were handed to the provider and no request began in time."""
        return self.returned > 0 and self.calls == 0 and self.directive is None

    @property
    def unanswered(self) -> bool:
        """Whether the provider left every message of the batch in doubt."""
        return self.unknown > 0 and not self.accepted and not self.rejected


@dataclass(frozen=True, slots=True)
class _Ready:
    """A person's finished message with what the ledger needs of it."""

    addressee: Addressee
    message: RenderedMessage
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a batch needs of its run.

    Attributes:
        channel: by which they go.
        controller_slug: whose messages they are.
        controller_version_id: what the controller says of itself in them.
        is_test: whether they are marked as a test.
        expires_at: after this the provider must not deliver them any more, if there is such a time.
    """

    channel: Channel
    controller_slug: str
    controller_version_id: int
    is_test: bool
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Batch:
    """The tools of one batch; see `Dispatcher` for what each is.

    Attributes:
        window_closes_at: when the sending hours of the first of these people end.
    """

    store: Store
    hasher: AddressHasher
    clock: Clock
    provider: Provider
    lanes: Lanes
    renderer: Renderer
    opt_out_url: Callable[[int], str]
    run_id: int
    version_id: int
    dispatcher_id: int
    facts: RunFacts
    pace: Pace
    window_closes_at: datetime | None
    stopping: Callable[[], bool]

    def send(self, people: Sequence[Addressee]) -> BatchEnd:
        """Bring these people's deliveries as far as they may go.

        Whatever happens between mark and record, no message is offered twice: an exception from the
        provider makes the messages of that call `unknown` before it is raised again.
        """
        ready, refused = self._render(people)
        if refused:
            with self.store.write() as session:
                skip(session, refused)
        if not ready or not self._wait_for_rate(len(ready)):
            return BatchEnd(skipped=len(refused), untouched=len(ready))
        end = self._look_and_call(ready)
        return replace(end, skipped=end.skipped + len(refused))

    def _look_and_call(self, ready: Sequence[_Ready]) -> BatchEnd:
        granted_at = self.clock.monotonic()
        if not self.lanes.take_turn(self.stopping):
            return BatchEnd(untouched=len(ready))
        calls: list[Call] = []
        try:
            waited = self.clock.monotonic() - granted_at
            if waited > _TURN_HOLDS.total_seconds() and not self._wait_for_rate(len(ready)):
                return BatchEnd(untouched=len(ready))
            if self._window_is_shut():
                return BatchEnd(untouched=len(ready))
            looked_at = self.clock.monotonic()
            try:
                look = self._look(ready)
            except PeopleBusyError:
                return BatchEnd(untouched=len(ready))
            marked = set(look.marked)
            going = [item for item in ready if item.addressee.delivery_id in marked]
            start_before = looked_at + LAST_LOOK_LIFETIME.total_seconds()
            shares = list(_shares(going, self.provider.batch_limit))
            calls = [self._call_of(share, start_before) for share in shares]
        finally:
            if not calls:
                self.lanes.pass_turn()
        answer = self._collect(shares, self.lanes.start(calls)) if calls else BatchResult(())
        skipped = len(look.skipped)
        return replace(
            _counted(answer), skipped=skipped, untouched=len(ready) - len(going) - skipped
        )

    def _window_is_shut(self) -> bool:
        return self.window_closes_at is not None and self.clock.now() >= self.window_closes_at

    def _render(self, people: Sequence[Addressee]) -> tuple[list[_Ready], list[tuple[int, Reason]]]:
        ready: list[_Ready] = []
        refused: list[tuple[int, Reason]] = []
        for addressee in people:
            if addressee.address is None:
                refused.append((addressee.delivery_id, Reason.ERASED))
                continue
            try:
                ready.append(self._ready(addressee, addressee.address))
            except MessageRefused as refusal:
                refused.append((addressee.delivery_id, refusal.reason))
        return ready, refused

    def _ready(self, addressee: Addressee, address: str) -> _Ready:
        recipient = Recipient(
            address=address,
            fields=addressee.fields,
            opt_out_url=self.opt_out_url(addressee.delivery_id),
            third_party_source=addressee.untold_source,
        )
        message = self.renderer.render(recipient)
        if self.facts.is_test:
            message = marked_as_test(message)
        used = self.renderer.fields_used
        prepared = Prepared(
            delivery_id=addressee.delivery_id,
            address_id=addressee.address_id,
            contact_id=addressee.contact_id,
            message_hash=message.message_hash,
            segments=message.segments.parts if isinstance(message, RenderedSms) else None,
            values={name: value for name, value in addressee.fields.items() if name in used},
        )
        return _Ready(addressee, message, prepared)

    def _wait_for_rate(self, messages: int) -> bool:
        while not self.stopping():
            turn = self.pace.reserve(messages)
            self._sleep(turn.wait)
            if turn.granted:
                return not self.stopping()
        return False

    def _sleep(self, duration: timedelta) -> None:
        left = duration
        while left > timedelta(0) and not self.stopping():
            self.clock.sleep(min(left, _WAIT_SLICE).total_seconds())
            left -= _WAIT_SLICE

    def _look(self, ready: Sequence[_Ready], *, is_compared: bool = False) -> Look:
        look: Look | None = None
        at = self.clock.now()
        try:
            with self.store.write() as session:
                if is_compared or not has_uncompared(session):
                    look = look_and_mark(
                        session,
                        run_id=self.run_id,
                        dispatcher_id=self.dispatcher_id,
                        version_id=self.version_id,
                        controller_version_id=self.facts.controller_version_id,
                        prepared=[item.prepared for item in ready],
                        at=at,
                    )
        except (JournalError, DBAPIError):  # perhaps marked, and to be called by nobody
            if look is not None and look.marked:
                self._take_back(look.marked, at)
            raise
        if look is None:
            self._block_listed(ready)
            return self._look(ready, is_compared=True)
        return look

    def _take_back(self, marked: Sequence[int], marked_at: datetime) -> None:
        def write() -> None:
            now = self.clock.now()
            with self.store.write() as session:
                run = get_run(session, self.run_id)
                take_back(session, run, self.dispatcher_id, marked, marked_at=marked_at, now=now)

        self._persistently(write)

    def _block_listed(self, ready: Sequence[_Ready]) -> None:
        people = (item.addressee for item in ready)
        block_listed(self.store, self.hasher, self.facts.channel, people, self.clock.now())

    def _call_of(self, share: Sequence[_Ready], start_before: float) -> Call:
        return lambda: self._call(share, start_before)

    def _call(self, going: Sequence[_Ready], start_before: float) -> BatchResult:
        if self.stopping():  # what has not begun is left for whoever goes on
            return BatchResult((NotStarted(),) * len(going))
        held_until = self.clock.now() + PROVIDER_HOLDS
        ends = (held_until, self.facts.expires_at, self.window_closes_at)
        expires_at = min(end for end in ends if end is not None)
        outgoing = [
            Outgoing(
                delivery_id=item.addressee.delivery_id,
                run_id=self.run_id,
                controller_slug=self.facts.controller_slug,
                message=item.message,
                expires_at=expires_at,
            )
            for item in going
        ]
        return self.provider.send(outgoing, start_before)

    def _collect(
        self, shares: Sequence[Sequence[_Ready]], calls: Sequence[Future[BatchResult]]
    ) -> BatchResult:
        """Record what the calls brought; the quick ones don't wait long for the slow."""
        share_of = dict(zip(calls, shares, strict=True))
        open_calls: set[Future[BatchResult]] = set(calls)
        answers: list[BatchResult] = []
        failure: BaseException | None = None
        while open_calls:
            done, open_calls = _next_done(open_calls)
            ended = [(share_of[call], _answer(call, len(share_of[call]))) for call in done]
            self._record(
                [item for share, _ in ended for item in share],
                [result for _, answer in ended for result in answer.results],
            )
            answers += [answer for _, answer in ended]
            failure = failure or next((e for call in done if (e := call.exception())), None)
        if failure is not None:
            raise failure
        return _merged(answers)

    def _record(self, going: Sequence[_Ready], results: Sequence[Result]) -> None:
        outcomes = [
            Outcome(
                delivery_id=item.addressee.delivery_id,
                address_id=item.addressee.address_id,
                result=result,
                told_contact_id=item.addressee.contact_id if item.addressee.untold_source else None,
            )
            for item, result in zip(going, results, strict=True)
        ]
        self._persistently(lambda: self._write(outcomes))

    def _write(self, outcomes: Sequence[Outcome]) -> None:
        with self.store.write() as session:
            run = get_run(session, self.run_id)
            record_outcomes(session, run, self.dispatcher_id, outcomes, self.clock.now())

    def _persistently(self, write: Callable[[], None]) -> None:
        """Write; a lost connection or a lock is waited out, since no call is made twice for it."""
        for pause in _RECORD_AGAIN_AFTER:
            try:
                return write()
            except OperationalError:
                self.clock.sleep(pause.total_seconds())
        return write()


def _shares(going: Sequence[_Ready], size: int) -> Iterator[Sequence[_Ready]]:
    for first in range(0, len(going), size):
        yield going[first : first + size]


def _next_done(
    calls: set[Future[BatchResult]],
) -> tuple[set[Future[BatchResult]], set[Future[BatchResult]]]:
    done, left = wait(calls, timeout=_RECORD_WITHIN.total_seconds())
    return (done, left) if done else wait(calls, return_when=FIRST_COMPLETED)


def _answer(call: Future[BatchResult], messages: int) -> BatchResult:
    """Return what a call brought; where it raised, nobody knows of any of its messages."""
    if call.exception() is None:
        return call.result()
    return BatchResult((Unknown(code="dispatcher error"),) * messages)


def _merged(answers: Sequence[BatchResult]) -> BatchResult:
    directive: Directive | None = None
    for answer in answers:
        directive = gravest(directive, answer.directive)
    return BatchResult(
        results=tuple(result for answer in answers for result in answer.results),
        directive=directive,
        calls=sum(answer.calls for answer in answers),
    )


def _counted(answer: BatchResult) -> BatchEnd:
    kinds = [type(result) for result in answer.results]
    accepted, rejected = kinds.count(Accepted), kinds.count(Rejected)
    unknown = kinds.count(Unknown)
    return BatchEnd(
        accepted=accepted,
        rejected=rejected,
        unknown=unknown,
        returned=len(kinds) - accepted - rejected - unknown,
        calls=answer.calls,
        directive=answer.directive,
    )
