"""What the desks of all links with a token have in common.

Litter at a token's end is left out; a token that is not ours gets a page with other ways to turn
to; one of ours whose row is not here raises an alert, because an act must not be taken for
another's, nor be lost without anybody knowing.
"""

import re
from collections.abc import Callable
from typing import ClassVar

from fastapi import Response

from sender.context import Context
from sender.inbound.opt_out_message import RowMissingError
from sender.signup.confirming import SignUpMissingError
from sender.store.alert_book import raise_alert
from sender.suppression.links import public_address, token_keys
from sender.suppression.tokens import TOKEN_LENGTH, TokenRefusedError
from sender.web.metrics import REFUSED
from sender.web.opt_out_view import unavailable_page, unknown_page


class TokenDesk:
    """Answers requests whose credential is the token in their address.

    Attributes:
        route: the pattern that refusals are counted under.
        token_length: letters and digits of a token.
    """

    route: ClassVar[str]
    token_length: ClassVar[int] = TOKEN_LENGTH

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
            self._read(self._bare(token))
        except TokenRefusedError:
            return False
        return True

    def _read(self, token: str) -> None:
        """Read a token.

        Raises:
            TokenRefusedError: it is not ours.
        """
        self._keys.read(token)

    def _guarded(self, token: str, work: Callable[[str], Response]) -> Response:
        """Return the page that `work` makes of the bare token, or of what is wrong with it."""
        try:
            return work(self._bare(token))
        except TokenRefusedError:
            REFUSED.labels(route=self.route, why="token").inc()
            with self._context.store.read() as session:
                return unknown_page(session)
        except RowMissingError as error:
            return self._missing("opt_out.row_missing", f"delivery {error.delivery_id}")
        except SignUpMissingError as error:
            return self._missing("sign_up.row_missing", f"sign-up {error.sign_up_id}")

    def _missing(self, kind: str, subject: str) -> Response:
        """Ask to come again, and raise an alert."""
        with self._context.store.write() as session:
            raise_alert(session, kind, subject, now=self._context.clock.now())
        with self._context.store.read() as session:
            return unavailable_page(session)

    def _bare(self, token: str) -> str:
        """Return the token without what a program or a hand left at its end, as `>` or a dot."""
        found = re.fullmatch(rf"([0-9A-Za-z]{{{self.token_length}}})[^0-9A-Za-z]{{1,8}}", token)
        return found[1] if found else token
