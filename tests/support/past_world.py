"""Histories that go on while messages are sent, one step after the other, by the real last look."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sender.consent.ledger import refold
from sender.consent.objection import Objection, record_objection
from sender.delivery.last_look import Prepared, look_and_mark
from sender.delivery.recovery import start_dispatcher
from sender.errors import RefusedError
from sender.store.consents import ConsentEvent, Notice, Purpose
from sender.store.contacts import ImportBatch
from sender.store.controllers import FreshnessPolicy, SenderIdentity
from sender.store.requests import PurposeClosure
from sender.suppression.ledger import BlockScope, Suppression, release, suppress
from sender.vocabulary import (
    EVERY_CHANNEL,
    BlockCause,
    Channel,
    ConsentFlaw,
    ConsentKind,
    Reason,
    RunState,
)
from tests.support.factory import (
    NOW,
    OPERATOR,
    Organisation,
    add_batch,
    add_body,
    add_campaign,
    add_contact,
    add_delivery,
    add_freeze,
    add_identity,
    add_notice,
    add_point,
    add_purpose,
    add_run,
    establish,
    record_consent,
)

STEP = timedelta(minutes=7)
AGES = [timedelta(0), timedelta(minutes=10), timedelta(days=200), timedelta(days=800)]


@dataclass(frozen=True)
class Step:
    """One thing that happens; `number` and `age` choose among what it may mean."""

    what: str
    body: int = 0
    number: int = 0
    age: timedelta = timedelta(0)


STEPS = st.lists(
    st.builds(
        Step,
        what=st.sampled_from(
            [
                *["send"] * 6,
                *["yes"] * 4,
                *["no", "block", "release", "object", "freeze", "policy", "identity", "close"],
                *["import", "approve", "revoke", "learn", "other purpose", "other channel"],
            ]
        ),
        body=st.integers(0, 1),
        number=st.integers(0, 7),
        age=st.sampled_from(AGES),
    ),
    min_size=4,
    max_size=22,
)


@dataclass(frozen=True)
class Sent:
    """What a last look did: the delivery, when, and what it answered."""

    delivery_id: int
    run_id: int
    at: datetime
    marked: bool
    reason: Reason | None


@dataclass
class Past:
    """Two bodies, one person, and all that happens to them, each step later than the one before."""

    session: Session
    now: datetime = NOW + timedelta(days=1)
    evidence: dict[str, str] | None = None
    sent: list[Sent] = field(default_factory=list)
    batches: list[ImportBatch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bodies = [establish(self.session, slug) for slug in ("riverside", "candidate")]
        self.second = [add_purpose(self.session, one.controller, "fundraising")
                       for one in self.bodies]  # fmt: skip
        contact = add_contact(self.session, self.bodies[0].controller)
        self.contact = contact
        self.points = [add_point(self.session, contact)]
        self.version = add_campaign(self.session, self.bodies[0].controller)[1]
        self.identity = self.bodies[0].identities[Channel.EMAIL]

    @property
    def address_id(self) -> int:
        return self.points[0].address_id

    def live(self, steps: list[Step]) -> None:
        deeds = {
            "send": self._send,
            "yes": self._yes,
            "no": self._no,
            "block": self._block,
            "release": self._release,
            "object": self._object,
            "freeze": self._freeze,
            "policy": self._policy,
            "identity": self._identity,
            "close": self._close,
            "import": self._import,
            "approve": self._approve,
            "revoke": self._revoke,
            "learn": self._learn,
            "other purpose": self._other_purpose,
            "other channel": self._other_channel,
        }
        for step in steps:
            self.now += STEP
            deeds[step.what](step)
            self.session.flush()
            self.session.expire_all()

    def _send(self, step: Step) -> None:
        jointly = step.number % 3 == 0
        run = add_run(
            self.session,
            self.bodies[0],
            self.version,
            state=RunState.RUNNING,
            fresh_within_months=3 if step.number == 1 else None,
        )
        run.sender_identity_id = self.identity.id
        if jointly:
            add_body(self.session, run, self.bodies[1])
        delivery = add_delivery(self.session, run, self.points[0])
        look = look_and_mark(
            self.session,
            run_id=run.id,
            dispatcher_id=start_dispatcher(self.session, run.id, self.now),
            version_id=self.version.id,
            prepared=[Prepared(delivery.id, self.address_id, self.contact.id, bytes(32), None, {})],
            at=self.now,
        )
        self.sent.append(
            Sent(
                delivery.id,
                run.id,
                self.now,
                delivery.id in look.marked,
                look.skipped.get(delivery.id),
            )
        )

    def _say(self, step: Step, kind: ConsentKind, **changed: object) -> None:
        body = self.bodies[step.body]
        flaws = [ConsentFlaw.NONE] * 6 + [ConsentFlaw.THIRD_PARTY, ConsentFlaw.CASEWORK]
        values: dict[str, object] = {
            "kind": kind,
            "occurred_at": self.now - step.age,
            "flaw": flaws[step.number] if kind.is_affirmative else ConsentFlaw.NONE,
            "ends_at": self.now + 3 * STEP if step.number == 2 else None,  # one of 8
            "notice": self._notice(body, step),
            "now": self.now,
            "evidence": self.evidence,
            **changed,
        }
        record_consent(self.session, body, self.address_id, **values)  # type: ignore[arg-type]  # see values

    def _notice(self, body: Organisation, step: Step) -> Notice:
        if step.number % 2:
            return body.notice
        return add_notice(
            self.session,
            body.controller,
            slug=f"form-{self.now:%Y%m%d%H%M}",
            shown_from=self.now - step.age,
        )

    def _yes(self, step: Step) -> None:
        kinds = [ConsentKind.GIVEN, ConsentKind.RECONFIRMED, ConsentKind.REQUESTED]
        self._say(step, kinds[min(step.number // 3, 2)])

    def _no(self, step: Step) -> None:
        kinds = [ConsentKind.WITHDRAWN, ConsentKind.REFUSED, ConsentKind.INVALIDATED]
        self._say(step, kinds[step.number % 3])

    def _suppression(self, step: Step) -> Suppression:
        body = [None, self.bodies[step.body]][step.number % 2]
        purpose: Purpose | None = body.purpose if body and step.number % 4 == 1 else None
        scope = BlockScope(
            self.address_id,
            body.id if body else None,
            [EVERY_CHANNEL, "email", "sms"][step.number % 3],
            purpose.id if purpose else None,
        )
        causes = [BlockCause.OPT_OUT, BlockCause.HOLD, BlockCause.BOUNCE, BlockCause.COMPLAINT]
        return Suppression(
            scope,
            causes[step.number % 4],
            self.now - step.age,
            "test",
            by_person=True,
            operator=OPERATOR,
            personal={"words": "evidence"},
        )

    def _block(self, step: Step) -> None:
        suppress(self.session, [self._suppression(step)], self.now)

    def _release(self, step: Step) -> None:
        try:
            release(self.session, self._suppression(step), self.now)
        except RefusedError:
            return

    def _object(self, step: Step) -> None:
        body = self.bodies[step.body]
        act = Objection(body.id, self.address_id, self.now - step.age, "letter", OPERATOR)
        record_objection(self.session, act, self.now)

    def _freeze(self, step: Step) -> None:
        add_freeze(self.session, self.bodies[step.body].controller, self.now)

    def _close(self, step: Step) -> None:
        purpose = self.bodies[step.body].purpose
        row = PurposeClosure(
            purpose_id=purpose.id,
            closes_at=self.now + step.number * STEP,
            reason="the matter is settled",
            recorded_at=self.now,
            operator=OPERATOR,
        )
        self.session.add(row)

    def _policy(self, step: Step) -> None:
        self.session.add(
            FreshnessPolicy(
                controller_id=self.bodies[step.body].id,
                channel=Channel.EMAIL if step.number % 2 else None,
                purpose_id=None,
                warn_months=1,
                hold_months=[1, 6, 24, 40][step.number % 4],
                recorded_at=self.now,
                operator=OPERATOR,
            )
        )

    def _identity(self, step: Step) -> None:
        """Retire the sender identity; mostly another follows."""
        self.session.execute(
            update(SenderIdentity)
            .where(SenderIdentity.id == self.identity.id, SenderIdentity.retired_at.is_(None))
            .values(retired_at=self.now)
        )
        if step.number:
            name = f"office-{self.now:%Y%m%d%H%M}"
            controller = self.bodies[0].controller
            self.identity = add_identity(self.session, controller, Channel.EMAIL, name=name)
            self.identity.recorded_at = self.now

    def _import(self, step: Step) -> None:
        batch = add_batch(self.session, self.bodies[step.body].controller)
        batch.approved_at = batch.settled_at = None
        self.session.flush()
        self.batches.append(batch)
        self._say(step, ConsentKind.GIVEN, batch=batch)

    def _approve(self, step: Step) -> None:
        for batch in self.batches[step.number % 2 :][:1]:
            if batch.approved_at is None and batch.revoked_at is None:
                batch.approved_at = batch.settled_at = self.now
                self._settle(batch)

    def _revoke(self, step: Step) -> None:
        """Now and then the states are not written anew before the next message."""
        for batch in self.batches[step.number % 2 :][:1]:
            if batch.revoked_at is None:
                batch.revoked_at = self.now
                if step.number < 6:  # of 8
                    batch.settled_at = self.now
                    self._settle(batch)

    def _settle(self, batch: ImportBatch) -> None:
        self.session.flush()
        keys = self.session.execute(
            select(
                ConsentEvent.controller_id, ConsentEvent.purpose_id, ConsentEvent.address_id
            ).where(ConsentEvent.batch_id == batch.id)
        )
        refold(self.session, sorted({(one, two, three) for one, two, three in keys}))

    def _learn(self, step: Step) -> None:
        """Another address of the person becomes known, or the first one to the other body too."""
        if step.body and len(self.points) == 1:
            point = add_point(self.session, self.contact, channel=Channel.SMS)
            self.points.append(point)
            point.created_at = self.now

    def _other_purpose(self, step: Step) -> None:
        self._say(step, ConsentKind.GIVEN, purpose=self.second[step.body])

    def _other_channel(self, step: Step) -> None:
        if len(self.points) > 1:
            record_consent(
                self.session,
                self.bodies[0],
                self.points[1].address_id,
                occurred_at=self.now - step.age,
                now=self.now,
            )
