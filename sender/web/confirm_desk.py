"""What the confirm pages answer: one transaction a press, committed before the answer."""

from collections.abc import Callable

from fastapi import Response

from sender.campaigns.refresh_confirm import confirm, read_renewal
from sender.context import Context
from sender.inbound.opt_out_message import RowMissingError, find_message
from sender.suppression.links import public_address, token_keys
from sender.suppression.tokens import TokenRefusedError
from sender.web.confirm_view import confirm_page, confirmed_page, not_confirmed_page
from sender.web.metrics import REFUSED
from sender.web.opt_out_view import preview_page, unavailable_page, unknown_page

NO_NOTICE = 0
"""No notice has this id: nothing was ticked or pressed on our page."""


class ConfirmDesk:
    """Answers the requests of the confirm pages, each with a finished page."""

    def __init__(self, context: Context) -> None:
        """Take the installation.

        Raises:
            SettingsError: the public address or the token keys are missing or malformed.
        """
        public_address(context.settings)
        self._context = context
        self._keys = token_keys(context.settings)

    def knows(self, token: str) -> bool:
        """Whether the token is one of ours, as far as can be told without the database."""
        try:
            self._keys.read(token)
        except TokenRefusedError:
            return False
        return True

    def show(self, token: str) -> Response:
        """Return the page of a link; nothing changes."""
        return self._guarded(lambda: self._show(token))

    def press(self, token: str, notice_id: int | None) -> Response:
        """Record the confirmation, and return the page once that is committed."""
        return self._guarded(lambda: self._press(token, notice_id or NO_NOTICE))

    def _show(self, token: str) -> Response:
        now = self._context.clock.now()
        with self._context.store.read() as session:
            message = find_message(session, self._keys, token)
            if message is None:
                return preview_page()
            renewal = read_renewal(session, message, now)
            if renewal is None:
                return not_confirmed_page(session, message)
            if renewal.is_done:
                return confirmed_page(session, message)
            return confirm_page(session, message, renewal)

    def _press(self, token: str, notice_id: int) -> Response:
        now = self._context.clock.now()
        with self._context.store.write() as session:
            message = find_message(session, self._keys, token)
            renewal = None if message is None else confirm(session, message, notice_id, now)
        with self._context.store.read() as session:
            if message is None:
                return preview_page()
            if renewal is None:
                return not_confirmed_page(session, message)
            if renewal.is_done:
                return confirmed_page(session, message)
            return confirm_page(session, message, renewal)

    def _guarded(self, work: Callable[[], Response]) -> Response:
        try:
            return work()
        except TokenRefusedError:
            REFUSED.labels(route="/k/{token}", why="token").inc()
            with self._context.store.read() as session:
                return unknown_page(session)
        except RowMissingError:
            with self._context.store.read() as session:
                return unavailable_page(session)
