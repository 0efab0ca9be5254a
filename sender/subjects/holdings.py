"""Where a person's data lies: one register, by which it is shown and by which it is erased.

Every table that points at a person, their address or a row about them has an entry here; a test
walks all tables, so that a new one cannot be forgotten. Audit rows about one person say so by
`address_id` in their details.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, or_, select

from sender.store.audit import AuditEvent, AuditPayload
from sender.store.base import Base
from sender.store.campaigns import Run, StagedRecipient
from sender.store.consents import ConsentEvent, ConsentPayload, ConsentState
from sender.store.contact_changes import AddressMove, ContactMerge, ContactPointMove
from sender.store.contacts import Contact, ContactPoint, TestAddress
from sender.store.controllers import SenderIdentity
from sender.store.deliveries import Delivery, DeliveryReliance, Reply
from sender.store.foreign_hashes import ForeignHash
from sender.store.inbound import (
    InboundEvent,
    InboundNotification,
    InboxMessage,
    ObjectionPassOn,
)
from sender.store.journal_marks import LostMessage, LostRun
from sender.store.refreshes import RefreshAsk
from sender.store.requests import SubjectRequest, SubjectRequestDelivery
from sender.store.sign_ups import SignUp
from sender.store.suppressions import Block, SuppressionEvent, SuppressionPayload
from sender.subjects.whom import Whom
from sender.vocabulary import EVERY

Condition = ColumnElement[bool]

MACHINERY: Final = frozenset(
    {
        "chain_id",
        "seq",
        "row_hash",
        "payload_digest",
        "salt",
        "code_hash",
        "message_hash",
        "key_hash",
    }
)
"""Columns that say nothing of a person: how history is guarded. They are not shown."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One table's rows about a person.

    Attributes:
        title: what they are, for the person.
        model: the table.
        rows: the condition of the rows.
        emptied: what an erasure writes into personal columns.
        removed: whether an erasure removes the rows instead.
    """

    title: str
    model: type[Base]
    rows: Callable[[Whom], Condition]
    emptied: Mapping[str, Any] = field(default_factory=dict)
    removed: bool = False


def _own_runs(whom: Whom) -> Select[int]:
    return select(Run.id).where(Run.controller_id == whom.controller_id)


def _own_deliveries(whom: Whom) -> Select[int]:
    return select(Delivery.id).where(_deliveries(whom))


def _own_consents(whom: Whom) -> Select[int]:
    return select(ConsentEvent.id).where(_consents(whom))


def _consents(whom: Whom) -> Condition:
    event = ConsentEvent
    return (event.controller_id == whom.controller_id) & event.address_id.in_(whom.address_ids)


def _suppressions(whom: Whom) -> Condition:
    event = SuppressionEvent
    is_ours = or_(event.controller_id == whom.controller_id, event.controller_id.is_(None))
    return is_ours & event.address_id.in_(whom.address_ids)


def _suppression_payloads(whom: Whom) -> Condition:
    """Without those of blocks at all controllers, unless all are asked: they are not one's own."""
    events = select(SuppressionEvent.id).where(_suppressions(whom))
    if not whom.everywhere:
        events = events.where(SuppressionEvent.controller_id.is_not(None))
    return SuppressionPayload.event_id.in_(events)


def _deliveries(whom: Whom) -> Condition:
    return Delivery.address_id.in_(whom.address_ids) & Delivery.run_id.in_(_own_runs(whom))


def _events(whom: Whom) -> Condition:
    """Of the controller's own messages, or heard by an account that the controller sends with."""
    event, told, identity = InboundEvent, InboundNotification, SenderIdentity
    accounts = select(identity.provider_account_id).where(
        identity.controller_id == whom.controller_id
    )
    heard = select(told.id).where(told.account_id.in_(accounts) | told.account_id.is_(None))
    unmatched = event.delivery_id.is_(None) | event.delivery_id.not_in(select(Delivery.id))
    return or_(
        event.delivery_id.in_(_own_deliveries(whom)),
        event.address_id.in_(whom.address_ids) & unmatched & event.notification_id.in_(heard),
    )


def _inbox(whom: Whom) -> Condition:
    message = InboxMessage
    return (message.controller_id == whom.controller_id) & message.address_id.in_(whom.address_ids)


def _notifications(whom: Whom) -> Condition:
    return or_(
        InboundNotification.id.in_(select(InboundEvent.notification_id).where(_events(whom))),
        InboundNotification.id.in_(select(InboxMessage.notification_id).where(_inbox(whom))),
    )


def _requests(whom: Whom) -> Condition:
    request = SubjectRequest
    is_theirs = or_(
        request.address_id.in_(whom.address_ids), request.contact_id.in_(whom.contact_ids)
    )
    return (request.controller_id == whom.controller_id) & is_theirs


def _audited(whom: Whom) -> Condition:
    event = AuditEvent
    is_ours = or_(event.controller_id == whom.controller_id, event.controller_id.is_(None))
    about: Condition = event.details["address_id"].as_integer().in_(whom.address_ids)
    return is_ours & about


def _passed_on(whom: Whom) -> Condition:
    row = ObjectionPassOn
    is_ours = or_(
        row.from_controller_id == whom.controller_id, row.to_controller_id == whom.controller_id
    )
    return is_ours & row.address_id.in_(whom.address_ids)


def _merges(whom: Whom) -> Condition:
    return or_(
        ContactMerge.merged_contact_id.in_(whom.contact_ids),
        ContactMerge.into_contact_id.in_(whom.contact_ids),
    )


def _point_moves(whom: Whom) -> Condition:
    return or_(
        ContactPointMove.from_contact_id.in_(whom.contact_ids),
        ContactPointMove.to_contact_id.in_(whom.contact_ids),
    )


def _address_moves(whom: Whom) -> Condition:
    """Both ends: an address that is not confirmed yet shows what its holder was told."""
    move = AddressMove
    is_theirs = or_(
        move.old_address_id.in_(whom.address_ids), move.new_address_id.in_(whom.address_ids)
    )
    return (move.controller_id == whom.controller_id) & is_theirs


def _of_controller(model: type[Base]) -> Callable[[Whom], Condition]:
    columns = model.__table__.c

    def rows(whom: Whom) -> Condition:
        return (columns.controller_id == whom.controller_id) & columns.address_id.in_(
            whom.address_ids
        )

    return rows


def _none(*columns: str) -> dict[str, Any]:
    return dict.fromkeys(columns)


HOLDINGS: Final = (
    Holding(
        "Who you are to us",
        Contact,
        lambda whom: Contact.id.in_(whom.contact_ids),
        emptied={
            **_none(
                "external_ref",
                "title",
                "first_name",
                "last_name",
                "postcode",
                "locale",
                "time_zone",
                "source_detail",
                "retained_for",
            ),
            "attributes": {},
        },
    ),
    Holding(
        "Your addresses",
        ContactPoint,
        lambda whom: or_(
            ContactPoint.contact_id.in_(whom.contact_ids),
            _of_controller(ContactPoint)(whom),
        ),
        emptied=_none("address"),
    ),
    Holding("When you were found to be held twice", ContactMerge, _merges),
    Holding("Which addresses came together by that", ContactPointMove, _point_moves),
    Holding("Changes of address that you told of", AddressMove, _address_moves),
    Holding("Addresses for tests", TestAddress, _of_controller(TestAddress), removed=True),
    Holding("What you agreed to, and what you refused", ConsentEvent, _consents),
    Holding(
        "What shows that you agreed",
        ConsentPayload,
        lambda whom: ConsentPayload.event_id.in_(_own_consents(whom)),
        removed=True,
    ),
    Holding("What you agree to now", ConsentState, _of_controller(ConsentState)),
    Holding("What stopped messages to you, or let them go again", SuppressionEvent, _suppressions),
    Holding("Opt-outs of yours that came as a hash", ForeignHash, _of_controller(ForeignHash)),
    Holding(
        "Details of what stopped messages",
        SuppressionPayload,
        _suppression_payloads,
        removed=True,
    ),
    Holding(
        "What stops messages to you now",
        Block,
        lambda whom: (
            Block.address_id.in_(whom.address_ids)
            & Block.controller_id.in_((EVERY, whom.controller_id))
        ),
    ),
    Holding("Messages to you", Delivery, _deliveries, emptied=_none("values")),
    Holding(
        "Consent that messages relied on for others",
        DeliveryReliance,
        lambda whom: or_(
            DeliveryReliance.delivery_id.in_(_own_deliveries(whom)),
            DeliveryReliance.consent_event_id.in_(_own_consents(whom)),
        ),
    ),
    Holding(
        "When you were asked to confirm again",
        RefreshAsk,
        lambda whom: RefreshAsk.delivery_id.in_(_own_deliveries(whom)),
    ),
    Holding("Answers to what you did", Reply, _of_controller(Reply)),
    Holding(
        "Forms into which your address was entered",
        SignUp,
        _of_controller(SignUp),
        emptied=_none("address", "due_at"),
    ),
    Holding(
        "Details brought in for one mailing",
        StagedRecipient,
        lambda whom: (
            StagedRecipient.address_id.in_(whom.address_ids)
            & StagedRecipient.run_id.in_(_own_runs(whom))
        ),
        emptied={"address": None, "attributes": {}},
    ),
    Holding("What became of messages", InboundEvent, _events),
    Holding(
        "Notices of that, as they came",
        InboundNotification,
        _notifications,
        emptied=_none("payload"),
    ),
    Holding("What you wrote to us", InboxMessage, _inbox, emptied=_none("body")),
    Holding("Whether others should hear of your objection", ObjectionPassOn, _passed_on),
    Holding(
        "What you asked of us",
        SubjectRequest,
        _requests,
        emptied=_none("requester", "words", "identity_check", "answer"),
    ),
    Holding(
        "Messages that you asked about",
        SubjectRequestDelivery,
        lambda whom: SubjectRequestDelivery.request_id.in_(
            select(SubjectRequest.id).where(_requests(whom))
        ),
    ),
    Holding("What we did about you", AuditEvent, _audited),
    Holding(
        "Details of what we did",
        AuditPayload,
        lambda whom: AuditPayload.event_id.in_(select(AuditEvent.id).where(_audited(whom))),
        removed=True,
    ),
    Holding(
        "Messages to you that a lost record tells of",
        LostMessage,
        lambda whom: (
            LostMessage.address_id.in_(whom.address_ids)
            & LostMessage.lost_run_id.in_(
                select(LostRun.id).where(LostRun.controller_id == whom.controller_id)
            )
        ),
    ),
)
"""All that may be held about a person, in the order in which it is shown."""
