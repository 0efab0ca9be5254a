"""A mail server (aiosmtpd) that keeps what it is given and can be told to misbehave.

By hand: `python -m tests.fakes.smtp --port 9003`, then host = "127.0.0.1", port = 9003,
security = "none".
"""

import asyncio
import re
import ssl
from collections import deque
from contextlib import suppress
from email import message_from_bytes
from email.policy import default
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, AnyStr

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.fakes.certificates import server_context
from tests.fakes.command import run_fake
from tests.fakes.loop import LoopServer, reset

if TYPE_CHECKING:
    from collections.abc import Callable

_MESSAGE_ID = re.compile(r"<(\d+)\.(\d+)@[^>]+>")


class At(Enum):
    """Where in the conversation a step is taken."""

    MAIL = auto()
    RCPT = auto()
    CONTENT = auto()
    """After `354`, before the content was read."""
    END = auto()
    """After the line that ends the content; the message is taken unless a reply refuses it."""


class Fault(Enum):
    RESET = auto()
    SILENCE = auto()
    CLOSE_AFTER = auto()
    """The reply is given, then the connection closed without notice."""


Step = tuple[At, str | Fault]
"""A reply given instead of the real one, or a fault."""


class SmtpFake(LoopServer):
    """Attributes beyond those of every fake.

    script: what happens to the next transactions, one step each; None is none.
    login: when set, this user name and password must be given first; needs `starttls`.
    """

    scheme = "smtp"

    def __init__(
        self,
        *,
        starttls: bool = False,
        implicit_tls: bool = False,
        delay: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(tls=server_context() if implicit_tls else None, **options)
        self.script: deque[Step | None] = deque()
        self.login: tuple[bytes, bytes] | None = None
        self.delay = delay
        self.on_transaction: Callable[[], None] | None = None
        self.transactions = 0
        self._starttls = server_context() if starttls else None
        self._open: set[_Conversation] = set()

    def protocol(self) -> asyncio.Protocol:
        return _Conversation(self, self._loop, self._starttls)

    async def hang_up(self) -> None:
        for conversation in list(self._open):
            conversation.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def authenticate(self, *details: Any) -> AuthResult:
        given = details[-1]
        assert isinstance(given, LoginPassword)
        known = (given.login, given.password) == self.login
        return AuthResult(success=known, handled=known)


class _Conversation(SMTP):
    def __init__(
        self, fake: SmtpFake, loop: asyncio.AbstractEventLoop, starttls: ssl.SSLContext | None
    ) -> None:
        self.fake = fake
        self.step: Step | None = None
        super().__init__(
            self,
            hostname="mail.example",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=fake.login is not None,
            authenticator=fake.authenticate,
            loop=loop,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.fake._open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.fake._open.discard(self)
        super().connection_lost(error)

    async def push(self, status: AnyStr) -> None:
        await super().push(status)
        content_is_next = str(status).startswith("354")
        if content_is_next and self.step and self.step[0] is At.CONTENT:
            await self._misbehave(self.step[1])

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        self.fake.transactions += 1
        self.step = self.fake.script.popleft() if self.fake.script else None
        if self.fake.on_transaction:
            self.fake.on_transaction()
        envelope.mail_from = address
        return await self._reply(At.MAIL, "250 OK")

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        reply = await self._reply(At.RCPT, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        refused = self.step and self.step[0] is At.END and isinstance(self.step[1], str)
        if not refused:
            self._take(session, envelope)
        await asyncio.sleep(self.fake.delay)
        return await self._reply(At.END, "250 2.0.0 queued as 1234")

    def _take(self, session: Session, envelope: Envelope) -> None:
        content = envelope.original_content or b""
        mail = message_from_bytes(content, policy=default)
        match = _MESSAGE_ID.fullmatch(str(mail["Message-ID"]))
        message = {
            "sender": envelope.mail_from,
            "recipients": list(envelope.rcpt_tos),
            "mail": mail,
            "tls": session.ssl is not None or self.fake._tls is not None,
            "authenticated": session.authenticated,
        }
        self.fake.take(int(match[1]) if match else 0, message)

    async def _reply(self, at: At, usual: str) -> str:
        if self.step is None or self.step[0] is not at:
            return usual
        if isinstance(self.step[1], str):
            return self.step[1]
        if self.step[1] is Fault.CLOSE_AFTER:
            self.loop.call_soon(self.loop.call_soon, self._close_quietly)
            return usual
        await self._misbehave(self.step[1])
        return usual

    async def _misbehave(self, what: str | Fault) -> None:
        if what is Fault.RESET and self.transport is not None:
            reset(self.transport)
        await asyncio.Event().wait()

    def abort(self) -> None:
        # Before Python 3.11.5, asyncio's TLS transport cannot be aborted after it was closed.
        with suppress(AttributeError):
            if isinstance(self.transport, asyncio.Transport):
                self.transport.abort()

    def _close_quietly(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.close()


if __name__ == "__main__":
    run_fake(SmtpFake)
