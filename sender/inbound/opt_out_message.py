"""The message that an opt-out link came with, and what its reader has stopped so far."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from sender.consent.notices import require_valid_consent
from sender.errors import RefusedError, SenderError
from sender.store.campaigns import Run, StagedRecipient
from sender.store.consents import Notice, Purpose
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import Controller
from sender.store.deliveries import Delivery
from sender.store.suppressions import Block
from sender.suppression.links import NOBODY
from sender.suppression.tokens import TokenKeys
from sender.vocabulary import EVERY, EVERY_CHANNEL, BlockCause, Channel


class RowMissingError(SenderError):
    """The link is ours, but the message that it was made for is not in this database.

    A restored backup may lack it, or hold another message of the same number; nobody can say whom
    the link would stop.

    Attributes:
        delivery_id: the number that the link names.
    """

    def __init__(self, delivery_id: int) -> None:
        super().__init__("The message of an opt-out link is not in the database.")
        self.delivery_id = delivery_id


@dataclass(frozen=True, slots=True)
class LinkedMessage:
    """One delivery, as its opt-out link needs it.

    Attributes:
        delivery_id: which delivery.
        address_id: to whom.
        run_id: of which run.
        controller_id: who instigated it.
        controller_slug: the same, by its short name.
        channel: how.
        purpose_id: for what.
        purpose_title: the same, as people read it.
        identity_id: the sender identity that it went out under.
        address: in plain; None where it was erased.
    """

    delivery_id: int
    address_id: int
    run_id: int
    controller_id: int
    controller_slug: str
    channel: Channel
    purpose_id: int
    purpose_title: str
    identity_id: int
    address: str | None = field(repr=False)


class Stopped(StrEnum):
    """How much of what the message belongs to is stopped; each includes the one before."""

    NOTHING = "nothing"
    PURPOSE = "purpose"
    CHANNEL = "channel"
    EVERYTHING = "everything"


@dataclass(frozen=True, slots=True)
class Standing:
    """What keeps such messages from the reader now, as far as people set it.

    Attributes:
        stopped: how much.
        returnable: whether the reader's own act can lift all of it; not what a complaint set that
            names no controller, nor what holds for every controller.
    """

    stopped: Stopped
    returnable: bool


def find_message(session: Session, keys: TokenKeys, token: str) -> LinkedMessage | None:
    """Return the message that the token was made for; None for the link of a preview.

    Raises:
        TokenRefusedError: the token is not ours.
        RowMissingError: it is, but the message is not here.
    """
    told = keys.read(token)
    if told.delivery_id == NOBODY:
        return None
    row = session.execute(_message_query(told.delivery_id)).one_or_none()
    if row is None or not told.is_for(row.link_salt):
        raise RowMissingError(told.delivery_id)
    values = dict(row._mapping)  # noqa: SLF001  # a row's documented way to its names
    del values["link_salt"]
    return LinkedMessage(**values)


def read_standing(session: Session, message: LinkedMessage) -> Standing:
    """Return what people's acts hold back of messages like this one."""
    blocks = session.scalars(concerning(message)).all()
    causes = {block.cause for block in blocks}
    returnable = all(
        block.controller_id == message.controller_id and block.cause is not BlockCause.COMPLAINT
        for block in blocks
    )
    if BlockCause.OBJECTION in causes or _has_objected(session, message):
        return Standing(Stopped.EVERYTHING, returnable)
    if any(block.purpose_id == EVERY for block in blocks):
        return Standing(Stopped.CHANNEL, returnable)
    return Standing(Stopped.PURPOSE if blocks else Stopped.NOTHING, returnable)


def concerning(message: LinkedMessage) -> Select[Block]:
    """Return the query for the blocks that people set and that hold this message's like back."""
    return select(Block).where(
        Block.address_id == message.address_id,
        Block.controller_id.in_((EVERY, message.controller_id)),
        Block.channel.in_((EVERY_CHANNEL, message.channel.value)),
        Block.purpose_id.in_((EVERY, message.purpose_id)),
        Block.cause <= BlockCause.OPT_OUT,
    )


def contact_of(message: LinkedMessage) -> Select[int]:
    """Return the query for the controller's contact behind the address; none or one."""
    return select(ContactPoint.contact_id).where(
        ContactPoint.controller_id == message.controller_id,
        ContactPoint.address_id == message.address_id,
    )


def _message_query(delivery_id: int) -> Select[*tuple[object, ...]]:
    return (
        select(
            Delivery.id.label("delivery_id"),
            Delivery.address_id,
            Delivery.run_id,
            Run.controller_id,
            Controller.slug.label("controller_slug"),
            Run.channel,
            Run.purpose_id,
            Purpose.title.label("purpose_title"),
            Run.sender_identity_id.label("identity_id"),
            func.coalesce(ContactPoint.address, StagedRecipient.address).label("address"),
            Run.link_salt,
        )
        .join(Run, Run.id == Delivery.run_id)
        .join(Controller, Controller.id == Run.controller_id)
        .join(Purpose, Purpose.id == Run.purpose_id)
        .outerjoin(ContactPoint, ContactPoint.id == Delivery.contact_point_id)
        .outerjoin(StagedRecipient, StagedRecipient.id == Delivery.staged_recipient_id)
        .where(Delivery.id == delivery_id)
    )


def _has_objected(session: Session, message: LinkedMessage) -> bool:
    query = select(Contact.id).where(
        Contact.id.in_(contact_of(message)), Contact.objected_at.is_not(None)
    )
    return session.scalar(query) is not None


def may_agree_to(session: Session, notice: Notice, message: LinkedMessage, at: datetime) -> bool:
    """Whether a yes of the message's reader to this wording, at that time, would be consent."""
    controller = session.get_one(Controller, message.controller_id)
    purpose = session.get_one(Purpose, message.purpose_id)
    try:
        require_valid_consent(notice, controller, message.channel, purpose.slug, at)
    except RefusedError:
        return False
    return True
