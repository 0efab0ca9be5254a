"""Many people who opt out at once, by every way there is, as mail programs and Twilio would post.

with store.write() as session:
    crowd = gather(session, 300)
for opt_out in crowd.opt_outs:
    status = opt_out.send(client)
"""

import base64
import hashlib
import hmac
import http.client
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.store.engine import Store
from sender.store.suppressions import Block
from sender.suppression.tokens import TokenKeys
from sender.vocabulary import BlockCause, Channel, DeliveryState, ProviderName
from tests.support.factory import (
    Organisation,
    add_account,
    add_campaign,
    add_contact,
    add_delivery,
    add_identity,
    add_point,
    add_run,
    address_id_of,
    establish,
    new_address,
)

PUBLIC_URL = "https://out.example.org"
TOKEN_KEYS = "1:" + "cd" * 32
TWILIO_ACCOUNT = "AC" + "0" * 32
TWILIO_TOKEN = "tokenEXAMPLE"
NUMBER = "+447700900999"
ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class OptOut:
    """One person's act, as one request; sent again, it is the same act."""

    way: str
    address_id: int
    path: str
    body: bytes
    headers: dict[str, str]

    def send(self, connection: http.client.HTTPConnection) -> int:
        """Post it, and return the status once the whole answer is read."""
        connection.request("POST", self.path, self.body, self.headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


@dataclass(frozen=True)
class Crowd:
    """People of one controller, each with a message that they got."""

    organisation: Organisation
    opt_outs: list[OptOut]

    def stopped(self, store: Store) -> set[int]:
        """Return the addresses of this crowd that the controller may not write to any more."""
        with store.read() as session:
            blocked = session.scalars(
                select(Block.address_id).where(
                    Block.controller_id == self.organisation.id,
                    Block.cause.in_((BlockCause.OPT_OUT, BlockCause.OBJECTION)),
                )
            )
            return set(blocked) & {one.address_id for one in self.opt_outs}


def connect(url: str) -> http.client.HTTPConnection:
    """Return a connection to a server that is asked for in clear."""
    return http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)


def gather(session: Session, people: int, *, slug: str = "riverside") -> Crowd:
    """Add a controller with these people, who in turn click, press the button and text STOP."""
    organisation = establish(session, slug)
    account = add_account(
        session, f"twilio-{slug}", provider=ProviderName.TWILIO,
        options={"options": {"account_sid": TWILIO_ACCOUNT}},
    )  # fmt: skip
    add_identity(
        session, organisation.controller, Channel.SMS,
        account=account, address=NUMBER, name="texts",
    )  # fmt: skip
    _, version = add_campaign(session, organisation.controller)
    run = add_run(session, organisation, version)
    links = TokenKeys.parse(TOKEN_KEYS)
    opt_outs: list[OptOut] = []
    for number in range(people):
        if number % 3 == 2:  # the third of three ways
            opt_outs.append(_text(session, number))
            continue
        contact = add_contact(session, organisation.controller)
        point = add_point(session, contact)
        delivery = add_delivery(session, run, point, state=DeliveryState.ACCEPTED)
        path = f"/u/{links.make(delivery.id, run.link_salt)}"
        way, body = [("one-click", ONE_CLICK), ("page", b"act=stop")][number % 3]
        opt_outs.append(OptOut(way, point.address_id, path, body, {"Content-Type": FORM}))
    return Crowd(organisation, opt_outs)


def text_message(sender: str, to: str, body: str, sid: str) -> OptOut:
    """Return a text as Twilio posts it, signed; the address id is left 0."""
    fields = {
        "MessageSid": sid, "AccountSid": TWILIO_ACCOUNT, "From": sender, "To": to, "Body": body,
        "NumMedia": "0",
    }  # fmt: skip
    path = "/webhooks/twilio/messages"
    signed = PUBLIC_URL + path + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    mac = hmac.new(TWILIO_TOKEN.encode(), signed.encode(), hashlib.sha1).digest()
    headers = {"Content-Type": FORM, "X-Twilio-Signature": base64.b64encode(mac).decode()}
    return OptOut("stop", 0, path, urlencode(fields).encode(), headers)


def _text(session: Session, number: int) -> OptOut:
    """STOP from somebody of whom nothing is known."""
    mobile = new_address(Channel.SMS)
    whole = text_message(mobile, NUMBER, "Stop please", f"SM{number:032x}")
    address_id = address_id_of(session, mobile, Channel.SMS)
    return OptOut(whole.way, address_id, whole.path, whole.body, whole.headers)


def ways(opt_outs: Sequence[OptOut]) -> set[str]:
    """Return the ways that these people take."""
    return {one.way for one in opt_outs}
