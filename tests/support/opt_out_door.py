"""One message with a personal link, and the real pages that answer it over HTTP.

with open_door(store, tmp_path) as door:
    page = door.get(door.link)
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.clock import SystemClock
from sender.context import Context
from sender.store.engine import Store
from sender.store.keys import register_key
from sender.store.suppressions import Block, SuppressionEvent
from sender.store.tables import metadata
from sender.suppression.links import token_keys
from sender.vocabulary import EVERY, BlockCause, Channel, DeliveryState
from sender.web.pages import routes
from tests.support.campaign_folder import settings_for
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_campaign,
    add_contact,
    add_controller_version,
    add_delivery,
    add_point,
    add_run,
    establish,
    record_consent,
)
from tests.support.web_server import serve

EMAIL = "ann.archer@example.org"
NUMBER = "+447700900789"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


class TickingClock(SystemClock):
    """Each look finds a millisecond more, so that no two acts happen at once."""

    def __init__(self, start: datetime = NOW) -> None:
        self.current = start

    def now(self) -> datetime:
        self.current += timedelta(milliseconds=1)
        return self.current


@dataclass(frozen=True)
class Page:
    """An answer, as its reader sees it."""

    status: int
    headers: Any
    html: str

    @property
    def title(self) -> str:
        found = re.search(r"<title>(.*?)</title>", self.html)
        return unescape(found[1]) if found else ""

    @property
    def text(self) -> str:
        body = re.sub(r"<style>.*?</style>|<[^>]+>", " ", self.html, flags=re.DOTALL)
        return " ".join(unescape(body).split())

    def form(self, act: str) -> dict[str, str]:
        """Return the hidden fields of the form with this act; nothing where there is none."""
        for form in re.findall(r"<form.*?</form>", self.html, re.DOTALL):
            fields = dict(HIDDEN.findall(form))
            if fields.get("act") == act:
                return fields
        return {}

    @property
    def acts(self) -> set[str]:
        return {value for name, value in HIDDEN.findall(self.html) if name == "act"}


@dataclass(frozen=True)
class Message:
    """One delivery to one person."""

    link: str
    delivery_id: int
    address_id: int


@dataclass
class Door:
    """The pages of one installation, with a person who got an e-mail and a text message.

    Attributes:
        url: of the server.
        email: the e-mail that the person got.
        sms: the text message.
    """

    context: Context
    organisation: Organisation
    url: str
    email: Message
    sms: Message

    @property
    def store(self) -> Store:
        return self.context.store

    @property
    def clock(self) -> TickingClock:
        assert isinstance(self.context.clock, TickingClock)
        return self.context.clock

    @property
    def link(self) -> str:
        return self.email.link

    def get(self, path: str) -> Page:
        return _page(requests.get(self.url + path, timeout=30, allow_redirects=False))

    def post(self, path: str, fields: Any = None, **more: Any) -> Page:
        return _page(
            requests.post(self.url + path, fields, timeout=30, allow_redirects=False, **more)
        )

    def press(self, page: Page, act: str, path: str = "", **more: Any) -> Page:
        """Press a button of a page that was got before."""
        fields = page.form(act)
        assert fields, f"no button {act} on: {page.text}"
        return self.post(path or self.link, {**fields, **more})

    def stop(self) -> Page:
        """Open the link and press its main button."""
        return self.press(self.get(self.link), "stop")

    def blocks(self, address_id: int = 0) -> set[tuple[BlockCause, str, bool]]:
        """Return the blocks in force here on the address: cause, channel, whether one purpose."""
        query = select(Block).where(
            Block.address_id == (address_id or self.email.address_id),
            Block.controller_id == self.organisation.id,
        )
        with self.store.read() as session:
            return {
                (row.cause, row.channel, row.purpose_id != EVERY) for row in session.scalars(query)
            }

    def events(self) -> list[SuppressionEvent]:
        with self.store.read() as session:
            return list(session.scalars(select(SuppressionEvent).order_by(SuppressionEvent.id)))

    def rows(self) -> dict[str, int]:
        """Count every table."""
        with self.store.read() as session:
            return {
                name: session.scalar(select(func.count()).select_from(table)) or 0
                for name, table in metadata.tables.items()
            }

    def mails(self) -> list[str]:
        """Return the texts of the replies that lie in the outbox, oldest first."""
        paths = self.context.settings.outbox.rglob("-*.eml")
        return [_text(path) for path in sorted(paths, key=lambda one: -int(one.stem))]

    def confirmation(self) -> str:
        """Return the path of the link in the last confirmation mail."""
        found = re.search(r"https://\S+/return/\S+", self.mails()[-1])
        assert found
        return urlsplit(found[0]).path

    def send(self, session: Session, *, channel: Channel = Channel.EMAIL, **more: Any) -> Message:
        """Send the organisation's people one more message; see `add_message`."""
        return add_message(self.context, session, self.organisation, channel=channel, **more)


@contextmanager
def open_door(store: Store, folder: Path, **version: Any) -> Iterator[Door]:
    """Serve the pages of a fresh database.

    Args:
        store: the database.
        folder: for the outbox.
        version: what the controller says of itself, besides the usual.
    """
    context = Context(settings_for(folder), store, HASHER, TickingClock(), OPERATOR)
    with store.write() as session:
        register_key(session, HASHER, NOW)
        organisation = introduce(session, establish(session, "riverside"), **version)
        contact = add_contact(session, organisation.controller)
        email, sms = (
            add_message(
                context, session, organisation, channel=channel, contact=contact, address=address
            )
            for channel, address in ((Channel.EMAIL, EMAIL), (Channel.SMS, NUMBER))
        )
    app = FastAPI()
    app.include_router(routes(context))
    with serve(app) as url:
        yield Door(context, organisation, url, email, sms)


def introduce(session: Session, organisation: Organisation, **version: Any) -> Organisation:
    """Let the controller say of itself what a test needs, in a further version."""
    columns = {
        "contact_phone": "+44 1632 960123",
        "website": f"https://{organisation.controller.slug}.example.org",
        "brand_colour": "#7a1f5c",
        **version,
    }
    added = add_controller_version(session, organisation.controller, version=2, **columns)
    return replace(organisation, version=added)


def add_message(
    context: Context,
    session: Session,
    organisation: Organisation,
    *,
    channel: Channel = Channel.EMAIL,
    contact: Any = None,
    address: str | None = None,
    consents: bool = True,
    **run: Any,
) -> Message:
    """Add a delivery to a person, known or new, with its link."""
    person = contact or add_contact(session, organisation.controller)
    point = add_point(session, person, address, channel=channel)
    if consents:
        record_consent(session, organisation, point.address_id)
    campaigns = session.scalar(select(func.count()).select_from(metadata.tables["campaign"]))
    _, version = add_campaign(session, organisation.controller, f"campaign-{campaigns}")
    row = add_run(session, organisation, version, channel=channel, link_salt=bytes(16), **run)
    delivery = add_delivery(session, row, point, state=DeliveryState.ACCEPTED)
    token = token_keys(context.settings).make(delivery.id, row.link_salt)
    return Message(f"/u/{token}", delivery.id, point.address_id)


def sources(events: Sequence[SuppressionEvent]) -> list[tuple[str, str]]:
    """Return what happened, in order: act and source."""
    return [(event.act.value, event.source) for event in events]


def _page(response: requests.Response) -> Page:
    return Page(response.status_code, response.headers, response.text)


def _text(path: Path) -> str:
    body = message_from_bytes(path.read_bytes(), policy=policy.default).get_body(("plain",))
    return "" if body is None else str(body.get_content())
