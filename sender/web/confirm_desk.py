"""What the confirm pages answer: one transaction a press, committed before the answer."""

from fastapi import Response

from sender.campaigns.refresh_confirm import confirm, read_renewal
from sender.inbound.opt_out_message import find_message
from sender.web.confirm_view import confirm_page, confirmed_page, not_confirmed_page
from sender.web.opt_out_view import preview_page
from sender.web.token_desk import TokenDesk

NO_NOTICE = 0
"""No notice has this id: nothing was ticked or pressed on our page."""


class ConfirmDesk(TokenDesk):
    """Answers the requests of the confirm pages, each with a finished page."""

    route = "/k/{token}"

    def show(self, token: str) -> Response:
        """Return the page of a link; nothing changes."""
        return self._guarded(token, self._show)

    def press(self, token: str, notice_id: int | None) -> Response:
        """Record the confirmation, and return the page once that is committed."""
        return self._guarded(token, lambda bare: self._press(bare, notice_id or NO_NOTICE))

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
