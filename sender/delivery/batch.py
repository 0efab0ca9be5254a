"""One batch through the fixed order: render and check, wait for the rate, look and mark, call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.exc import OperationalError

from sender.clock import Clock
from sender.delivery.last_look import LAST_LOOK_LIFETIME, Look, Prepared, look_and_mark
from sender.delivery.outcomes import Outcome, record_outcomes
from sender.delivery.pace import Pace
from sender.delivery.recipients import Addressee, load_addressees
from sender.delivery.runs import get_run, skip
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
from sender.rendering.message import RenderedMessage, RenderedSms
from sender.rendering.profile import Recipient
from sender.rendering.refusal import MessageRefused
from sender.rendering.testmark import marked_as_test
from sender.store.controllers import Controller
from sender.store.engine import Store
from sender.store.journal import JournalError
from sender.vocabulary import Reason

if TYPE_CHECKING:
    from sender.delivery.dispatch import Renderer

PROVIDER_HOLDS = timedelta(minutes=15)
"""How long a provider may hold a message back: its queue outlives a STOP."""

_WAIT_SLICE = timedelta(milliseconds=250)

_RECORD_AGAIN_AFTER = (timedelta(milliseconds=200), timedelta(seconds=1), timedelta(seconds=3))
"""Only writing down is tried again, never a call: each outcome saved is one unknown less."""


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


@dataclass(frozen=True, slots=True)
class _Ready:
    """A person's finished message with what the ledger needs of it."""

    addressee: Addressee
    message: RenderedMessage
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class _RunFacts:
    """What a batch needs of its run."""

    controller_slug: str
    is_test: bool
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Batch:
    """The tools of one batch; see `Dispatcher` for what each is."""

    store: Store
    clock: Clock
    provider: Provider
    renderer: "Renderer"
    opt_out_url: Callable[[int], str]
    run_id: int
    version_id: int
    dispatcher_id: int
    pace: Pace
    window_closes_at: datetime | None
    stopping: Callable[[], bool]

    def send(self, delivery_ids: Sequence[int]) -> BatchEnd:
        """Bring these deliveries as far as they may go.

        Whatever happens between mark and record, no message is offered twice: an exception from the
        provider makes the whole batch `unknown` before it is raised again.
        """
        facts, addressees = self._read(delivery_ids)
        ready, refused = self._render(addressees, facts)
        if refused:
            with self.store.write() as session:
                skip(session, refused)
        if not ready or not self._wait_for_rate(len(ready)):
            return BatchEnd(skipped=len(refused), untouched=len(ready))
        looked_at = self.clock.monotonic()
        look = self._look(ready)
        going = [item for item in ready if item.addressee.delivery_id in set(look.marked)]
        skipped = len(refused) + len(look.skipped)
        untouched = len(ready) - len(going) - len(look.skipped)
        if not going:
            return BatchEnd(skipped=skipped, untouched=untouched)
        answer = self._call(going, facts, looked_at + LAST_LOOK_LIFETIME.total_seconds())
        self._record(going, answer.results)
        return replace(_counted(answer), skipped=skipped, untouched=untouched)

    def _read(self, delivery_ids: Sequence[int]) -> tuple[_RunFacts, list[Addressee]]:
        with self.store.read() as session:
            run = get_run(session, self.run_id)
            controller = session.get_one(Controller, run.controller_id)
            facts = _RunFacts(controller.slug, run.is_test, run.expires_at)
            return facts, load_addressees(session, run, delivery_ids)

    def _render(
        self, addressees: Sequence[Addressee], facts: _RunFacts
    ) -> tuple[list[_Ready], list[tuple[int, Reason]]]:
        ready: list[_Ready] = []
        refused: list[tuple[int, Reason]] = []
        for addressee in addressees:
            if addressee.address is None:
                refused.append((addressee.delivery_id, Reason.ERASED))
                continue
            try:
                ready.append(self._ready(addressee, addressee.address, facts))
            except MessageRefused as refusal:
                refused.append((addressee.delivery_id, refusal.reason))
        return ready, refused

    def _ready(self, addressee: Addressee, address: str, facts: _RunFacts) -> _Ready:
        recipient = Recipient(
            address=address,
            fields=addressee.fields,
            opt_out_url=self.opt_out_url(addressee.delivery_id),
            third_party_source=addressee.untold_source,
        )
        message = self.renderer.render(recipient)
        if facts.is_test:
            message = marked_as_test(message)
        used = self.renderer.fields_used
        prepared = Prepared(
            delivery_id=addressee.delivery_id,
            address_id=addressee.address_id,
            message_hash=message.message_hash,
            segments=message.segments.parts if isinstance(message, RenderedSms) else None,
            values={name: value for name, value in addressee.fields.items() if name in used},
        )
        return _Ready(addressee, message, prepared)

    def _wait_for_rate(self, messages: int) -> bool:
        left = self.pace.reserve(messages)
        while left > timedelta(0):
            if self.stopping():
                return False
            self.clock.sleep(min(left, _WAIT_SLICE).total_seconds())
            left -= _WAIT_SLICE
        return not self.stopping()

    def _look(self, ready: Sequence[_Ready]) -> Look:
        look: Look | None = None
        try:
            with self.store.write() as session:
                look = look_and_mark(
                    session,
                    run_id=self.run_id,
                    dispatcher_id=self.dispatcher_id,
                    version_id=self.version_id,
                    prepared=[item.prepared for item in ready],
                    at=self.clock.now(),
                )
        except JournalError:  # marked, and to be called by nobody: a restore would forget it
            marked = set(look.marked) if look is not None else set()
            going = [item for item in ready if item.addressee.delivery_id in marked]
            self._record(going, [NotStarted()] * len(going))
            raise
        return look

    def _call(self, going: Sequence[_Ready], facts: _RunFacts, start_before: float) -> BatchResult:
        held_until = self.clock.now() + PROVIDER_HOLDS
        ends = (held_until, facts.expires_at, self.window_closes_at)
        expires_at = min(end for end in ends if end is not None)
        outgoing = [
            Outgoing(
                delivery_id=item.addressee.delivery_id,
                run_id=self.run_id,
                controller_slug=facts.controller_slug,
                message=item.message,
                expires_at=expires_at,
            )
            for item in going
        ]
        try:
            return self.provider.send(outgoing, start_before)
        except BaseException:
            self._record(going, [Unknown(code="dispatcher error")] * len(going))
            raise

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
        for wait in _RECORD_AGAIN_AFTER:
            try:
                return self._write(outcomes)
            except OperationalError:  # a lost connection or a lock; the calls are made and over
                self.clock.sleep(wait.total_seconds())
        return self._write(outcomes)

    def _write(self, outcomes: Sequence[Outcome]) -> None:
        with self.store.write() as session:
            run = get_run(session, self.run_id)
            record_outcomes(session, run, self.dispatcher_id, outcomes, self.clock.now())


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
