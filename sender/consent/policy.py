"""Whether one person may be written to: a pure function, and the trace that explains it.

`sender.consent.eligibility` says the same in SQL for millions; a property test holds them equal.
The rules run in one order, and the first that refuses is the reason that is reported.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sender.consent.freshness import FreshnessPolicy, months_before
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


@dataclass(frozen=True, slots=True)
class ConsentView:
    """The folded consent of one address for one controller and purpose."""

    status: ConsentKind
    event_id: int
    last_affirmative_at: datetime | None
    ends_at: datetime | None = None
    flaw: ConsentFlaw = ConsentFlaw.NONE
    notice_shown_from: datetime | None = None
    batch_id: int | None = None


@dataclass(frozen=True, slots=True)
class BlockView:
    """A block in force on an address; 0 and `*` stand for every controller, purpose, channel."""

    cause: BlockCause
    controller_id: int
    channel: str
    purpose_id: int


@dataclass(frozen=True, slots=True)
class Person:
    """All that is looked at about one address.

    Attributes:
        has_address: whether the address is still known in plain.
        objected: whether the contact that it belongs to objected.
        source: where the contact's details came from; None for somebody who is no contact.
        consent: for exactly the controller and purpose asked about.
        consented_on_other_channel: whether the contact agreed to this purpose by another channel.
        consented_to_other_purpose: whether this address agreed to another purpose.
        blocks: every block on the address, whatever its scope.
    """

    has_address: bool
    objected: bool
    source: ContactSource | None
    consent: ConsentView | None
    consented_on_other_channel: bool
    consented_to_other_purpose: bool
    blocks: Sequence[BlockView]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is asked: may this controller write on this channel for this purpose now?

    `revoked_batches` are imports that were just found to be bad, whose people's consent states
    still have to be written anew. From `closes_at` on the purpose is over, for everybody.
    `is_only_named` says that the controller is a body named in `on_behalf_of`: once it is frozen,
    nothing is sent for it any more, whoever agreed since.
    """

    controller_id: int
    channel: Channel
    purpose_id: int
    at: datetime
    freshness: FreshnessPolicy
    frozen_at: datetime | None = None
    has_sender_identity: bool = True
    revoked_batches: frozenset[int] = frozenset()
    closes_at: datetime | None = None
    is_only_named: bool = False

    @property
    def fresh_after(self) -> datetime:
        """The last affirmative act must be later than this."""
        return months_before(self.at, self.freshness.hold_months)

    @property
    def warn_before(self) -> datetime:
        """An affirmative act before this is about to go stale."""
        return months_before(self.at, self.freshness.warn_months)


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason to refuse, in words for people, with its paragraph of the regulator's guidance."""

    sentence: str
    paragraph: str


RULES: dict[Reason, Rule] = {
    Reason.CONTROLLER_FROZEN: Rule(
        "The controller is frozen, and this person has not agreed anew since.", "¶84-86"
    ),
    Reason.NO_SENDER_IDENTITY: Rule(
        "The controller has no sender identity on this channel to name itself with.", "¶51"
    ),
    Reason.INVALID_ADDRESS: Rule("The address does not work, or is not held.", "¶57"),
    Reason.OBJECTED: Rule(
        "The person objected to direct marketing from this controller.", "¶71-73"
    ),
    Reason.SUPPRESSED: Rule("The person opted out or complained.", "¶56, ¶58"),
    Reason.BOUNCED: Rule("Messages to this address bounced.", "¶57"),
    Reason.HELD: Rule("A reply from this person waits for somebody to read it.", "¶56"),
    Reason.CASEWORK: Rule(
        "The details came from casework, without specific consent to marketing.", "¶28"
    ),
    Reason.WRONG_CHANNEL: Rule("The person agreed to this purpose, but by another channel.", "¶55"),
    Reason.WRONG_PURPOSE: Rule("The person agreed to another purpose, not to this one.", "¶52-53"),
    Reason.NO_CONSENT: Rule("No consent is on record.", "¶24, ¶51"),
    Reason.ONLY_REQUESTED: Rule("Consent was asked for, and never confirmed.", "¶25"),
    Reason.REFUSED: Rule("The person said no when asked.", "¶25"),
    Reason.WITHDRAWN: Rule("The person withdrew this consent.", "¶56"),
    Reason.INVALIDATED: Rule("The record of this consent was found to be bad.", "¶57, ¶77"),
    Reason.THIRD_PARTY: Rule(
        "The wording that the person saw did not name this controller.", "¶76-77"
    ),
    Reason.ENDED: Rule(
        "The consent was given until a date that has passed, or its purpose is over.", "¶52-53, ¶57"
    ),
    Reason.STALE: Rule("The last affirmative act is too long ago to rely on.", "¶57"),
}

CAUSE_REASONS: dict[BlockCause, Reason] = {
    BlockCause.OBJECTION: Reason.OBJECTED,
    BlockCause.COMPLAINT: Reason.SUPPRESSED,
    BlockCause.OPT_OUT: Reason.SUPPRESSED,
    BlockCause.BOUNCE: Reason.BOUNCED,
    BlockCause.INVALID: Reason.INVALID_ADDRESS,
    BlockCause.HOLD: Reason.HELD,
}

STATUS_REASONS: dict[ConsentKind, Reason] = {
    ConsentKind.REQUESTED: Reason.ONLY_REQUESTED,
    ConsentKind.REFUSED: Reason.REFUSED,
    ConsentKind.WITHDRAWN: Reason.WITHDRAWN,
    ConsentKind.OBJECTED: Reason.OBJECTED,
    ConsentKind.INVALIDATED: Reason.INVALIDATED,
}

FLAW_REASONS: dict[ConsentFlaw, Reason] = {
    ConsentFlaw.CASEWORK: Reason.CASEWORK,
    ConsentFlaw.THIRD_PARTY: Reason.THIRD_PARTY,
    ConsentFlaw.CHANNEL_NOT_NAMED: Reason.WRONG_CHANNEL,
    ConsentFlaw.PURPOSE_NOT_NAMED: Reason.WRONG_PURPOSE,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One rule as it was applied: what was looked at and what came of it."""

    rule: str
    looked_at: str
    refusal: Reason | None
    paragraph: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed with the consent event relied on, or refused with a reason.

    `steps` ends with the rule that refused, or holds them all.
    """

    consent_event_id: int | None
    refusal: Reason | None
    about_to_go_stale: bool
    steps: tuple[Step, ...]

    @property
    def allowed(self) -> bool:
        """Whether a message may go out."""
        return self.refusal is None

    @property
    def sentence(self) -> str:
        """Say for people why not, or that it may be."""
        return "Allowed." if self.refusal is None else RULES[self.refusal].sentence

    @property
    def paragraph(self) -> str:
        """The paragraph of the guidance behind a refusal; ¶51 where allowed."""
        return "¶51" if self.refusal is None else RULES[self.refusal].paragraph


def decide(person: Person, scope: Scope) -> Decision:
    """Apply every rule in order; the first refusal ends it. All checks fail closed."""
    steps: list[Step] = []
    for step in _steps(person, scope):
        steps.append(step)
        if step.refusal is not None:
            return Decision(None, step.refusal, about_to_go_stale=False, steps=tuple(steps))
    assert person.consent is not None
    assert person.consent.last_affirmative_at is not None
    ageing = person.consent.last_affirmative_at <= scope.warn_before
    return Decision(person.consent.event_id, None, about_to_go_stale=ageing, steps=tuple(steps))


def applies(block: BlockView, scope: Scope) -> bool:
    """Whether a block covers this controller, channel and purpose."""
    return (
        block.controller_id in {EVERY, scope.controller_id}
        and block.channel in {EVERY_CHANNEL, scope.channel.value}
        and block.purpose_id in {EVERY, scope.purpose_id}
    )


def _steps(person: Person, scope: Scope) -> Iterator[Step]:
    yield _frozen(person, scope)
    identity = None if scope.has_sender_identity else Reason.NO_SENDER_IDENTITY
    yield _step("sender identity", _yes_no(scope.has_sender_identity), identity, "¶51")
    address = None if person.has_address else Reason.INVALID_ADDRESS
    yield _step("address held", _yes_no(person.has_address), address, "¶57")
    objected = Reason.OBJECTED if person.objected else None
    yield _step("objection of the contact", _yes_no(person.objected), objected, "¶71-73")
    yield _blocked(person, scope)
    yield _consent_on_record(person)
    assert person.consent is not None
    status = person.consent.status
    if person.consent.batch_id in scope.revoked_batches:
        status = ConsentKind.INVALIDATED
    yield _step("consent state", status.value, STATUS_REASONS.get(status), "¶25")
    flaw = person.consent.flaw
    seen = "nothing missing" if flaw is ConsentFlaw.NONE else flaw.value.replace("_", " ")
    yield _step("what the wording named", seen, FLAW_REASONS.get(flaw), "¶55, ¶77")
    yield _ended(person.consent, scope)
    yield _stale(person.consent, scope)


def _frozen(person: Person, scope: Scope) -> Step:
    frozen_at = scope.frozen_at
    refused = frozen_at is not None and (
        scope.is_only_named or not _agreed_after(person.consent, frozen_at)
    )
    seen = "not frozen" if frozen_at is None else f"frozen since {frozen_at:%Y-%m-%d %H:%M}Z"
    reason = Reason.CONTROLLER_FROZEN if refused else None
    return _step("controller freeze", seen, reason, "¶84-86")


def _agreed_after(consent: ConsentView | None, moment: datetime) -> bool:
    if consent is None or consent.last_affirmative_at is None or consent.notice_shown_from is None:
        return False
    return consent.last_affirmative_at > moment and consent.notice_shown_from > moment


def _blocked(person: Person, scope: Scope) -> Step:
    causes = [block.cause for block in person.blocks if applies(block, scope)]
    if not causes:
        return _step("suppression", "no block applies", None, "¶56, ¶58")
    cause = min(causes)
    return _step("suppression", cause.name.lower(), CAUSE_REASONS[cause], "¶56, ¶58")


def _consent_on_record(person: Person) -> Step:
    rule = "consent for this controller, channel and purpose"
    if person.consent is not None:
        return _step(rule, f"event {person.consent.event_id}", None, "¶24, ¶51")
    if person.source is ContactSource.CASEWORK:
        return _step(rule, "none; details from casework", Reason.CASEWORK, "")
    if person.consented_on_other_channel:
        return _step(rule, "only on another channel", Reason.WRONG_CHANNEL, "")
    if person.consented_to_other_purpose:
        return _step(rule, "only for another purpose", Reason.WRONG_PURPOSE, "")
    return _step(rule, "none", Reason.NO_CONSENT, "")


def _ended(consent: ConsentView, scope: Scope) -> Step:
    ends = [end for end in (consent.ends_at, scope.closes_at) if end is not None]
    ended = bool(ends) and min(ends) <= scope.at
    seen = f"until {min(ends):%Y-%m-%d}" if ends else "no end date"
    return _step("end date", seen, Reason.ENDED if ended else None, "¶52-53, ¶57")


def _stale(consent: ConsentView, scope: Scope) -> Step:
    last = consent.last_affirmative_at
    stale = last is None or last <= scope.fresh_after
    when = "none" if last is None else f"{last:%Y-%m-%d}"
    seen = f"last affirmative act {when}; must be after {scope.fresh_after:%Y-%m-%d}"
    return _step("freshness", seen, Reason.STALE if stale else None, "¶57")


def _step(rule: str, looked_at: str, refusal: Reason | None, paragraph: str) -> Step:
    return Step(rule, looked_at, refusal, RULES[refusal].paragraph if refusal else paragraph)


def _yes_no(value: bool) -> str:  # noqa: FBT001  # the value is what is worded
    return "yes" if value else "no"
