"""Two bodies with public forms, the real pages over HTTP, and what lies in people's inboxes.

with open_hall(store, tmp_path) as hall:
    hall.submit(email=ANN, agree=[NEWS])
    hall.keep()
    page = hall.get(hall.link())
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from fastapi import FastAPI
from sqlalchemy import func, select

from sender.consent.person import load_person
from sender.consent.policy import Decision, decide
from sender.consent.scopes import load_scope
from sender.contacts.addresses import find_address_ids
from sender.context import Context
from sender.signup.upkeep import Kept, keep_sign_ups
from sender.store.consents import ConsentEvent, Purpose
from sender.store.deliveries import Reply
from sender.store.engine import Store
from sender.store.keys import register_key
from sender.store.sign_ups import SignUp
from sender.store.suppressions import Block
from sender.store.tables import metadata
from sender.vocabulary import BlockCause, Channel
from sender.web import confirm, housekeeping, pages, sign_up
from sender.web.app import assemble
from sender.web.limits import Limits
from tests.support.campaign_folder import settings_for
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_contact,
    add_form,
    add_notice,
    add_point,
    add_purpose,
    address_id_of,
    block,
    establish,
    record_consent,
)
from tests.support.opt_out_door import Page, introduce
from tests.support.web_context import SteppedClock
from tests.support.web_server import serve

ANN = "ann.archer@example.org"
NUMBER = "+447700900789"
NEWS, MONEY = "email:campaign-news", "email:fundraising"
TEXTS = "sms:campaign-news"
FORM = "/s/riverside/web"
MAYORS = "/s/mayor/web"
LINK = re.compile(r"https://out\.example\.org(/c/\w+)")


@dataclass
class Hall:
    """Riverside and the mayor, who ask for `campaign-news` and `fundraising` on both channels.

    The clock stands still between a test's steps.
    """

    context: Context
    clock: SteppedClock
    riverside: Organisation
    mayor: Organisation
    money: Purpose
    url: str

    @property
    def store(self) -> Store:
        return self.context.store

    def get(self, path: str = FORM) -> Page:
        return _page(requests.get(self.url + path, timeout=30, allow_redirects=False))

    def post(self, path: str, fields: Any = None, **more: Any) -> Page:
        return _page(
            requests.post(self.url + path, fields, timeout=30, allow_redirects=False, **more)
        )

    def submit(
        self,
        path: str = FORM,
        *,
        email: str = "",
        mobile: str = "",
        agree: Sequence[str] = (NEWS,),
        notice: int | str = 2,
    ) -> Page:
        """Fill the form in, as its page does."""
        return self.post(
            path, {"notice": notice, "email": email, "mobile": mobile, "agree": list(agree)}
        )

    def keep(self) -> Kept:
        """Do what web and workers do every few seconds."""
        return keep_sign_ups(self.context)

    def asked(self, **form: Any) -> str:
        """Sign up and be sent the confirmation; return the path of its link."""
        assert self.submit(**form).status == 200
        assert self.keep().sent == 1
        return self.link()

    def confirmed(self, **form: Any) -> Page:
        """Sign up and confirm."""
        return self.press(self.asked(**form), "confirm")

    def press(self, path: str, act: str) -> Page:
        """Press a button that the page must have."""
        page = self.get(path)
        assert act in page.acts, page.text
        return self.post(path, page.form(act))

    def wait(self, **time: float) -> None:
        """Let time pass."""
        self.clock.wall += timedelta(**time)

    def sent(self) -> list[str]:
        """Return the texts of all confirmations, oldest first."""
        folder = self.context.settings.outbox / "run-0"
        paths = [path for path in folder.glob("-*") if path.suffix in {".eml", ".txt"}]
        return [_text(path) for path in sorted(paths, key=lambda one: -int(one.stem))]

    def link(self, place: int = -1) -> str:
        """Return the path of the link in a confirmation, the last by default."""
        found = LINK.search(self.sent()[place])
        assert found
        return urlsplit(found[0]).path

    def address_id(self, address: str = ANN, channel: Channel = Channel.EMAIL) -> int:
        with self.store.read() as session:
            return find_address_ids(session, HASHER, channel, [address])[address]

    def all(self, query: Any) -> list[Any]:
        with self.store.read() as session:
            return list(session.scalars(query))

    def sign_ups(self) -> list[SignUp]:
        return self.all(select(SignUp).order_by(SignUp.id))

    def replies(self) -> list[Reply]:
        return self.all(select(Reply).order_by(Reply.id))

    def events(self) -> list[ConsentEvent]:
        return self.all(select(ConsentEvent).order_by(ConsentEvent.id))

    def kinds(self) -> list[str]:
        return [row.kind.value for row in self.events()]

    def blocks(self, address: str = ANN, channel: Channel = Channel.EMAIL) -> set[tuple[Any, ...]]:
        """Return the blocks in force: controller, channel, purpose, cause."""
        query = select(Block).where(Block.address_id == self.address_id(address, channel))
        return {
            (row.controller_id, row.channel, row.purpose_id, row.cause) for row in self.all(query)
        }

    def rows(self) -> dict[str, int]:
        """Count every table."""
        with self.store.read() as session:
            return {
                name: session.scalar(select(func.count()).select_from(table)) or 0
                for name, table in metadata.tables.items()
            }

    def decision(
        self,
        address: str = ANN,
        *,
        body: Organisation | None = None,
        purpose: Purpose | None = None,
        channel: Channel = Channel.EMAIL,
    ) -> Decision:
        """Return whether a campaign may write to the address now."""
        body = body or self.riverside
        about: dict[str, Any] = {
            "controller_id": body.id,
            "channel": channel,
            "purpose_id": (purpose or body.purpose).id,
        }
        with self.store.read() as session:
            scope = load_scope(session, at=self.clock.now(), **about)
            address_id = self.address_id(address, channel)
            return decide(load_person(session, address_id=address_id, **about), scope)


@contextmanager
def open_hall(store: Store, folder: Path, **settings: Any) -> Iterator[Hall]:
    """Serve the sign-up pages of a fresh database, beside those for opting out."""
    clock = SteppedClock()
    options = {"journal": "off", **settings}
    context = Context(settings_for(folder, **options), store, HASHER, clock, OPERATOR)
    with store.write() as session:
        register_key(session, HASHER, NOW)
        riverside, mayor = (_body(session, slug) for slug in ("riverside", "mayor"))
        money = session.scalars(
            select(Purpose).where(
                Purpose.slug == "fundraising", Purpose.controller_id == riverside.id
            )
        ).one()
    routers = [module.routes(context) for module in (sign_up, pages, confirm)]
    limits = Limits(looks_per_minute=10**6)
    with (
        pytest.MonkeyPatch.context() as patch,
        serve(_app(patch, assemble(context, routers, limits))) as url,
    ):
        yield Hall(context, clock, riverside, mayor, money, url)


def _app(patch: pytest.MonkeyPatch, app: FastAPI) -> FastAPI:
    """Let the server leave to the tests what it would do every few seconds."""
    patch.setattr(housekeeping, "SIGN_UPS_EVERY", timedelta(days=1))
    return app


def _body(session: Any, slug: str) -> Organisation:
    body = establish(session, slug)
    add_purpose(session, body.controller, "fundraising")
    add_notice(session, body.controller, purposes=["campaign-news", "fundraising"], version=2)
    add_form(session, body.controller)
    return introduce(session, body)


def _page(response: requests.Response) -> Page:
    return Page(response.status_code, response.headers, response.text)


def _text(path: Path) -> str:
    if path.suffix == ".txt":
        return path.read_text("utf-8")
    body = message_from_bytes(path.read_bytes(), policy=policy.default).get_body(("plain",))
    return "" if body is None else str(body.get_content())


def set_open(hall: Hall, *, is_open: bool, version: int) -> None:
    """Close Riverside's form, or open it again, by a new version of it."""
    with hall.store.write() as session:
        add_form(session, hall.riverside.controller, version=version, is_open=is_open)


def known(hall: Hall, address: str = ANN, *, agreed: bool = True) -> int:
    """Add a contact of Riverside's with this address; return the id of the address."""
    with hall.store.write() as session:
        contact = add_contact(session, hall.riverside.controller)
        point = add_point(session, contact, address)
        if agreed:
            record_consent(session, hall.riverside, point.address_id)
        return point.address_id


def stop(hall: Hall, cause: BlockCause = BlockCause.OPT_OUT, **scope: Any) -> None:
    """Block Ann's address at Riverside, unless told otherwise."""
    about = {"controller": hall.riverside.controller, **scope}
    with hall.store.write() as session:
        moment = hall.clock.now()
        block(
            session,
            address_id_of(session, ANN),
            cause=cause,
            occurred_at=moment,
            now=moment,
            **about,
        )
