"""What the opt-out pages answer: one transaction for each press, committed before the answer.

The answer depends on the token alone, and on what its reader has stopped.
"""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from fastapi import Response
from sqlalchemy.orm import Session

from sender.campaigns.return_mail import send_return_mail
from sender.errors import RefusedError
from sender.inbound.opt_out import (
    ONE_CLICK,
    PAGE,
    Way,
    narrow,
    object_to_all,
    stop,
    stop_purpose,
    undo,
    undoable_since,
)
from sender.inbound.opt_out_message import (
    LinkedMessage,
    Stopped,
    find_message,
    read_standing,
)
from sender.inbound.opt_out_pass_on import pass_on
from sender.inbound.opt_out_return import Offer, come_back, is_usable, read_offer
from sender.inbound.opt_out_tickets import UNDO_WITHIN, TicketUse, make_ticket, read_ticket
from sender.suppression.tokens import TokenKeys
from sender.web.metrics import OPT_OUTS
from sender.web.opt_out_view import (
    Answer,
    not_returned_page,
    one_click_page,
    opt_out_page,
    preview_page,
    return_page,
    returned_page,
)
from sender.web.token_desk import TokenDesk

VISIT_BYTES: Final = 12
_VISIT: Final = re.compile(r"[A-Za-z0-9_-]{16}")
"""Twelve random bytes in base64."""

Fields = Mapping[str, Sequence[str]]
"""The fields of a form, each with all its values."""


class Act(StrEnum):
    """What a button of the page asks for; anything else is a stop."""

    STOP = "stop"
    PURPOSE = "purpose"
    EVERYTHING = "everything"
    UNDO = "undo"
    PASS_ON = "pass-on"  # noqa: S105 # a button's name
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class _Press:
    """A press on the page, or of a mail program's button."""

    session: Session
    keys: TokenKeys
    message: LinkedMessage
    fields: Fields
    now: datetime

    def carry_out(self) -> Answer:
        """Do what was pressed; what cannot be understood is a stop."""
        act = _act(self.fields)
        handlers: dict[Act, Callable[[], Answer]] = {
            Act.PURPOSE: self._purpose,
            Act.EVERYTHING: self._everything,
            Act.UNDO: self._undo,
            Act.PASS_ON: self._pass_on,
        }
        return handlers.get(act, self._stop)() if act else self._stop(ONE_CLICK)

    def _stop(self, source: str = PAGE) -> Answer:
        press = stop(self.session, self.message, self._way(source), self.now)
        return Answer(counted=source if press.is_new else "", event_id=press.event_id)

    def _purpose(self) -> Answer:
        way, stopped_by = self._way(PAGE), self._ticket()
        if stopped_by is None:
            press = stop_purpose(self.session, self.message, way, self.now)
        else:
            press = narrow(self.session, self.message, stopped_by, way, self.now)
        return Answer(counted="purpose" if press.is_new else "", event_id=press.event_id)

    def _everything(self) -> Answer:
        is_new = object_to_all(self.session, self.message, self.now)
        return Answer(counted="objection" if is_new else "")

    def _undo(self) -> Answer:
        event_id = self._ticket()
        lifted = event_id is not None and undo(self.session, self.message, event_id, self.now)
        if read_standing(self.session, self.message).stopped is Stopped.NOTHING:
            return Answer(outcome="undone")
        return Answer(outcome="undone-partly" if lifted else "not-undone")

    def _pass_on(self) -> Answer:
        chosen = [] if "nobody" in self.fields else self.fields.get("to", ())
        told = pass_on(self.session, self.message, set(chosen), self.now)
        names = ", ".join(body.name for body in told)
        outcome = "passed-on" if told else "not-passed-on"
        return Answer(outcome=outcome, names=names, asks_bodies=False)

    def _way(self, source: str) -> Way:
        return Way(source, _visit(self.fields) if source == PAGE else None)

    def _ticket(self) -> int | None:
        text = _first(self.fields, "ticket")
        ticket = read_ticket(self.keys, TicketUse.UNDO, self.message.delivery_id, text, self.now)
        return None if ticket is None else ticket.number


class Desk(TokenDesk):
    """Answers the requests of the opt-out pages, each with a finished page."""

    route = "/u/{token}"

    def show(self, token: str) -> Response:
        """Return the page of a link; nothing changes."""
        return self._guarded(token, self._show)

    def press(self, token: str, fields: Fields) -> Response:
        """Carry a press out, and return its page once that is committed."""
        return self._guarded(token, lambda bare: self._press(bare, fields))

    def show_return(self, token: str, ticket: str) -> Response:
        """Return the page of a confirmation's link; nothing changes."""
        return self._guarded(token, lambda bare: self._show_return(bare, ticket))

    def press_return(self, token: str, ticket: str) -> Response:
        """Lift what the person set, and return the page once that is committed."""
        return self._guarded(token, lambda bare: self._press_return(bare, ticket))

    def _show(self, token: str) -> Response:
        with self._context.store.read() as session:
            message = find_message(session, self._keys, token)
            if message is None:
                return preview_page()
            return self._page(session, message, None, self._context.clock.now())

    def _press(self, token: str, fields: Fields) -> Response:
        if _act(fields) is Act.RETURN:
            return self._ask_to_return(token)
        now = self._context.clock.now()
        with self._context.store.write() as session:
            message = find_message(session, self._keys, token)
            if message is None:
                return preview_page()
            answer = _Press(session, self._keys, message, fields, now).carry_out()
        # Committed first, so that no opt-out hangs on what its page needs.
        if answer.counted:
            OPT_OUTS.labels(way=answer.counted).inc()
        if _act(fields) is None:
            return one_click_page()
        with self._context.store.read() as session:
            return self._page(session, message, answer, now, _visit(fields))

    def _ask_to_return(self, token: str) -> Response:
        with self._context.store.read() as session:
            message = find_message(session, self._keys, token)
        if message is None:
            return preview_page()
        send_return_mail(self._context, message, token)
        answer = Answer(outcome="return-asked", asks_bodies=False)
        with self._context.store.read() as session:
            return self._page(session, message, answer, self._context.clock.now())

    def _page(
        self,
        session: Session,
        message: LinkedMessage,
        answer: Answer | None,
        now: datetime,
        visit: str | None = None,
    ) -> Response:
        ticket = ""
        event_id = answer.event_id if answer else None
        since = undoable_since(session, message, event_id) if event_id else None
        if event_id and since and now - since <= UNDO_WITHIN:
            ticket = make_ticket(self._keys, TicketUse.UNDO, message.delivery_id, event_id, since)
        visit = visit or secrets.token_urlsafe(VISIT_BYTES)
        return opt_out_page(session, message, answer, visit=visit, ticket=ticket)

    def _show_return(self, token: str, text: str) -> Response:
        now = self._context.clock.now()
        with self._context.store.read() as session:
            message = find_message(session, self._keys, token)
            if message is None:
                return preview_page()
            ticket = read_ticket(self._keys, TicketUse.RETURN, message.delivery_id, text, now)
            if ticket is None or not is_usable(session, message, ticket):
                return not_returned_page(session, message)
            return return_page(session, message, read_offer(session, message, now))

    def _press_return(self, token: str, text: str) -> Response:
        now = self._context.clock.now()
        with self._context.store.read() as session:
            message = find_message(session, self._keys, token)
        if message is None:
            return preview_page()
        offer = self._come_back(message, text, now)
        with self._context.store.read() as session:
            if offer is None:
                return not_returned_page(session, message)
            return returned_page(session, message, offer)

    def _come_back(self, message: LinkedMessage, text: str, now: datetime) -> Offer | None:
        ticket = read_ticket(self._keys, TicketUse.RETURN, message.delivery_id, text, now)
        if ticket is None:
            return None
        try:
            with self._context.store.write() as session:
                return come_back(session, message, ticket, now)
        except RefusedError:
            return None


def _act(fields: Fields) -> Act | None:
    """Return what the page's button asks for; None for a mail program's request (RFC 8058)."""
    asked = _first(fields, "act")
    if "List-Unsubscribe" in fields or asked not in set(Act):
        return None
    return Act(asked)


def _first(fields: Fields, name: str) -> str:
    return next(iter(fields.get(name, ())), "")


def _visit(fields: Fields) -> str | None:
    visit = _first(fields, "visit")
    return visit if _VISIT.fullmatch(visit) else None
