"""An association that writes e-mail, and a maildir with what comes back."""

from dataclasses import dataclass
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import select

from sender.contacts.addresses import find_address_ids
from sender.context import Context
from sender.inbound.mailbox import MailboxRead, read_mailbox
from sender.providers.smtp.verp import Sent, verp_address
from sender.store.campaigns import Run
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.inbound import InboundEvent, InboxMessage
from sender.store.suppressions import Block
from sender.suppression.links import token_keys
from sender.vocabulary import BlockCause, Channel, DeliveryState
from tests.support.factory import (
    HASHER,
    NOW,
    Organisation,
    add_campaign,
    add_contact,
    add_delivery,
    add_point,
    add_run,
    establish,
)
from tests.support.web_context import web_context

SAMPLES = Path(__file__).parents[1] / "unit" / "data" / "mail"
BOUNCES = "bounces@riverside.example.org"
NEWS = "news@riverside.example.org"
SALT = bytes(range(16))

_SAMPLE_TOKEN = b"0123456789ABCDEFGHIJKL"
_numbers = count(1)


@dataclass
class MailWorld:
    """A maildir, an association, and a run of a campaign."""

    context: Context
    folder: Path
    party: Organisation
    run: Run

    def drop(self, raw: bytes, *, into: str = "new", name: str = "") -> str:
        """Put a message into the maildir; return its file's name."""
        path = self.folder / into / (name or f"{next(_numbers):06}.mx")
        path.write_bytes(raw)
        return path.name

    def read(self, **how: bool) -> MailboxRead:
        """Read the maildir."""
        return read_mailbox(self.context, self.folder, **how)

    def files(self, folder: str = "new") -> list[str]:
        """The names of the files in a folder of the maildir."""
        return sorted(path.name for path in (self.folder / folder).iterdir())

    def send(self, address: str, run: Run | None = None, **columns: Any) -> Delivery:
        """Add a message that the mail server took."""
        run = run or self.run
        with self.context.store.write() as session:
            controller = session.get_one(type(self.party.controller), run.controller_id)
            point = add_point(session, add_contact(session, controller), address)
            values = {"state": DeliveryState.ACCEPTED, "dispatched_at": NOW, **columns}
            return add_delivery(session, run, point, **values)

    def returned(self, sample: str, row: Delivery, address: str, **proof: bool) -> bytes:
        """Return a sample as if it told of this message.

        Without more it names the Message-ID and the address; `verp` also the return path that we
        signed, `token` the opt-out link.
        """
        raw = (SAMPLES / f"{sample}.eml").read_bytes()
        keys = token_keys(self.context.settings)
        if proof.get("verp"):
            path = verp_address(BOUNCES, Sent(row.id, row.run_id), keys)
            raw = raw.replace(BOUNCES.encode(), path.encode())
        if proof.get("token"):
            raw = raw.replace(_SAMPLE_TOKEN, keys.make(row.id, SALT).encode())
        raw = raw.replace(b"34.7@", f"{row.id}.{row.run_id}@".encode())
        return raw.replace(b"ann@example.net", address.encode())

    def delivery(self, row: Delivery) -> Delivery:
        """The delivery as it is now."""
        with self.context.store.read() as session:
            return session.get_one(Delivery, row.id)

    def blocks(self, address: str) -> set[tuple[int, str, BlockCause]]:
        """The blocks on an address: controller, channel, cause."""
        with self.context.store.read() as session:
            ids = find_address_ids(session, HASHER, Channel.EMAIL, [address]).values()
            rows = session.scalars(select(Block).where(Block.address_id.in_(list(ids))))
            return {(row.controller_id, row.channel, row.cause) for row in rows}

    def causes(self, address: str) -> set[BlockCause]:
        """Why an address is blocked."""
        return {cause for _, _, cause in self.blocks(address)}

    def events(self) -> list[InboundEvent]:
        """Every event."""
        with self.context.store.read() as session:
            return list(session.scalars(select(InboundEvent).order_by(InboundEvent.id)))

    def inbox(self) -> list[InboxMessage]:
        """Every reply in an inbox."""
        with self.context.store.read() as session:
            return list(session.scalars(select(InboxMessage).order_by(InboxMessage.id)))


def open_mail_world(store: Store, folder: Path) -> MailWorld:
    """Establish the association and make the maildir."""
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir(parents=True)
    with store.write() as session:
        party = establish(session)
        version = add_campaign(session, party.controller)[1]
        run = add_run(session, party, version, link_salt=SALT)
    return MailWorld(web_context(store), folder, party, run)


def reply(body: str, *, sender: str, **fields: str) -> bytes:
    """Return an e-mail that somebody wrote to the association."""
    message = EmailMessage()
    usual = {"From": sender, "To": NEWS, "Subject": "Re: Your local newsletter"}
    message_id = {"Message-ID": f"<reply-{next(_numbers)}@example.net>"}
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    for name, value in {**usual, **message_id, **given}.items():
        message[name] = value
    message.set_content(body)
    return message.as_bytes()
