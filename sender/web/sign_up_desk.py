"""What becomes of a sign-up, by whichever way it comes; and what the links of confirmations answer.

The answer to a sign-up depends on what was filled in alone. One transaction does the same work for
every address, and the confirmation is sent by somebody else, later (`housekeeping.py`, workers).
"""

from dataclasses import dataclass, field
from enum import StrEnum

from fastapi import Response

from sender.context import Context
from sender.errors import RefusedError
from sender.signup.confirming import confirm, disown, find_sign_up, read_question
from sender.signup.entries import Examined, Filled, examine
from sender.signup.open_form import OpenForm, read_open_form
from sender.signup.requests import take
from sender.signup.tokens import TOKEN_LENGTH, read_token
from sender.suppression.links import public_address
from sender.web.metrics import OPT_OUTS, SIGN_UPS
from sender.web.sign_up_limits import DailyCount
from sender.web.sign_up_view import confirm_page
from sender.web.token_desk import TokenDesk

Form = tuple[str, str]
"""The slugs of a controller and of its form."""


class Outcome(StrEnum):
    """What became of a sign-up."""

    CLOSED = "closed"
    CHANGED = "changed"
    """Another wording is shown by now than was agreed to."""
    WRONG = "wrong"
    FULL = "full"
    ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a sign-up, with what the answer needs.

    Attributes:
        outcome: what.
        offered: the form; None where it is closed.
        examined: with what is wrong.
    """

    outcome: Outcome
    offered: OpenForm | None = None
    examined: Examined = field(default_factory=Examined)


class SignUpDesk:
    """Takes sign-ups in."""

    def __init__(self, context: Context, count: DailyCount) -> None:
        """Take the installation, and what counts the clients.

        Raises:
            SettingsError: the public address is missing or malformed.
        """
        self.public_url = public_address(context.settings)
        self._context = context
        self._count = count

    def offered(self, form: Form) -> OpenForm | None:
        """Return what the form offers now; None where it is not open."""
        with self._context.store.read() as session:
            return read_open_form(session, *form, self._context.clock.now())

    def submit(self, form: Form, filled: Filled, notice_version: int, client: str) -> Answered:
        """Take a sign-up in, and return what became of it once that is committed."""
        now = self._context.clock.now()
        offered = self.offered(form)
        if offered is None:
            return Answered(Outcome.CLOSED)
        if offered.notice.version != notice_version:
            return Answered(Outcome.CHANGED, offered)
        examined = examine(offered, filled)
        if not examined.entries:
            return Answered(Outcome.WRONG, offered, examined)
        if not self._count.take(client):
            return Answered(Outcome.FULL, offered)
        with self._context.store.write() as session:
            hasher = self._context.hasher
            is_taken = take(session, hasher, offered, examined.entries, now)
        outcome = Outcome.ASKED if is_taken else Outcome.FULL
        SIGN_UPS.labels(what=outcome.value).inc()
        return Answered(outcome, offered)


class ConfirmLinkDesk(TokenDesk):
    """Answers the links of confirmations, each with a finished page."""

    route = "/c/{token}"
    token_length = TOKEN_LENGTH

    def show(self, token: str) -> Response:
        """Return the page of a link; nothing changes."""
        return self._guarded(token, lambda bare: self._page(bare, is_answer=False))

    def press(self, token: str, act: str) -> Response:
        """Carry a press out, and return its page once that is committed.

        Args:
            token: of the link.
            act: `confirm` or `not-me`; anything else does nothing.
        """
        return self._guarded(token, lambda bare: self._press(bare, act))

    def _read(self, token: str) -> None:
        read_token(self._keys, token)

    def _press(self, token: str, act: str) -> Response:
        if act == "not-me":
            self._disown(token)
        elif act == "confirm":
            self._confirm(token)
        return self._page(token, is_answer=act in {"confirm", "not-me"})

    def _disown(self, token: str) -> None:
        with self._context.store.write() as session:
            sign_up = find_sign_up(session, self._keys, token)
            is_new = disown(session, sign_up, self._context.clock.now())
        if is_new:
            OPT_OUTS.labels(way="not-me").inc()

    def _confirm(self, token: str) -> None:
        try:
            with self._context.store.write() as session:
                sign_up = find_sign_up(session, self._keys, token)
                confirm(session, sign_up, self._context.clock.now())
        except RefusedError:  # overtaken by a newer no; the page says so
            SIGN_UPS.labels(what="overtaken").inc()

    def _page(self, token: str, *, is_answer: bool) -> Response:
        with self._context.store.read() as session:
            sign_up = find_sign_up(session, self._keys, token)
            question = read_question(session, sign_up, self._context.clock.now())
            public_url = public_address(self._context.settings)
            return confirm_page(session, question, public_url, is_answer=is_answer)
