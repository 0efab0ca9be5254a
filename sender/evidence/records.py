"""What the evidence on one address consists of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sender.consent.policy import Step
from sender.vocabulary import Channel, ConsentFlaw, ConsentKind, DeliveryState, Reason


class Held(StrEnum):
    """Whether the personal side of a record is there."""

    HELD = "held"
    ERASED = "erased"
    NONE = "none"
    ELSEWHERE = "elsewhere"
    """It belongs to another controller, who shows it."""


@dataclass(frozen=True, slots=True)
class Wording:
    """What people saw when they agreed: one version of a notice, and who answers for its record."""

    notice: str
    wording: str
    privacy_notice_url: str
    channels: tuple[str, ...]
    purposes: tuple[str, ...]
    controllers: tuple[str, ...]
    shown_from: datetime
    shown_until: datetime | None
    screenshot: str | None
    screenshot_sha256: bytes | None
    signed_off_by: str | None


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """One act of consent or refusal; `row_hash` is its link of the chain.

    `approved_at` and `revoked_at` are those of the import that it came with, if any.
    """

    event: int
    controller: str
    purpose: str
    kind: ConsentKind
    occurred_at: datetime
    recorded_at: datetime
    method: str
    source: str
    wording: Wording | None
    lawful_basis: str
    flaw: ConsentFlaw
    ends_at: datetime | None
    operator: str
    batch: int | None
    approved_at: datetime | None
    revoked_at: datetime | None
    personal: Mapping[str, Any] | None
    personal_is: Held
    row_hash: bytes

    @property
    def is_waiting(self) -> bool:
        """Whether it came with an import that nobody has approved."""
        return self.batch is not None and self.approved_at is None

    @property
    def counts(self) -> bool:
        """Whether it is a yes to this controller, channel and purpose that may be relied on."""
        is_sound = self.flaw is ConsentFlaw.NONE and self.revoked_at is None
        return self.kind.is_affirmative and is_sound and not self.is_waiting


@dataclass(frozen=True, slots=True)
class OptOut:
    """A block that was set or lifted; it held messages back from `took_effect_at` on."""

    event: int
    act: str
    cause: str
    controller: str
    channel: str
    purpose: str
    by_person: bool
    occurred_at: datetime
    took_effect_at: datetime
    source: str
    operator: str
    answers_message: int | None
    last_message_before: datetime | None
    next_message_after: datetime | None
    row_hash: bytes


@dataclass(frozen=True, slots=True)
class DecisionThen:
    """The decision of one controller at the moment of dispatch, made again from the records.

    `relied_on` is what the ledger recorded then; `agrees` says whether both are the same.
    """

    controller: str
    allowed: bool
    reason: Reason | None
    sentence: str
    paragraph: str
    consent_event: int | None
    relied_on: int | None
    agrees: bool
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message, or one that was held back, with the reason."""

    message: int
    run: int
    campaign: str
    run_number: int
    version: int | None
    content_hash: bytes | None
    controller: str
    purpose: str
    channel: Channel
    sender: str
    sender_name: str
    is_test: bool
    state: DeliveryState
    reason: Reason | None
    refused_by: str | None
    planned_at: datetime
    dispatched_at: datetime | None
    accepted_at: datetime | None
    delivered_at: datetime | None
    failed_at: datetime | None
    bounced_at: datetime | None
    complained_at: datetime | None
    opted_out_at: datetime | None
    provider: str
    provider_message_id: str | None
    message_hash: bytes | None
    values: Mapping[str, Any] | None
    values_are: Held
    decisions: tuple[DecisionThen, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A fixed text that answered the person's own act."""

    kind: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Party:
    """The controller as its messages name it now."""

    slug: str
    name: str
    postal_address: str
    email: str
    phone: str | None
    website: str | None
    privacy_notice_url: str


@dataclass(frozen=True, slots=True)
class ContactSummary:
    """The person as the controller knows them; empty where nothing is held any more."""

    reference: str | None
    name: str
    known_since: datetime
    source: str
    source_detail: str | None
    objected_at: datetime | None
    erased_at: datetime | None
    address_is: Held


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one controller holds on why somebody was written to.

    Attributes:
        party: the controller.
        address: as it was asked for; the ledgers know it by `principal_id` alone.
        principal_id: the keyed hash, hexadecimal; empty for an address nobody ever heard of.
        subject_ref: the ledgers' own number of the address; it outlives a change of the key.
        made_at: when this was put together.
        changes: what became of the address and its record, in sentences.
        gone: what is no longer held, in sentences.
    """

    party: Party
    address: str
    channel: Channel
    principal_id: str
    subject_ref: str
    made_at: datetime
    hold_months: Mapping[str, int]
    contact: ContactSummary | None
    messages: tuple[Message, ...]
    consents: tuple[ConsentRecord, ...]
    opt_outs: tuple[OptOut, ...]
    answers: tuple[Answer, ...]
    changes: tuple[str, ...]
    gone: tuple[str, ...]
