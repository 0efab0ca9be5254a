"""One conversation with a mail server, which always knows how far it has come."""

import re
import smtplib
import socket
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from sender.providers.account import Credentials
from sender.providers.outcome import Outcome
from sender.providers.smtp.outcomes import (
    LOGIN_REFUSED,
    NO_STARTTLS,
    Stage,
    code_of,
    lost_outcome,
    reply_outcome,
)

_LINE_START_DOT = re.compile(rb"(?m)^\.")
_DATA_WANTED = 354
_RECIPIENT_TAKEN = frozenset({250, 251})


class Security(StrEnum):
    """How the conversation is protected."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Server:
    """Where the mail server is and how to be let in."""

    host: str
    port: int
    security: Security
    timeout: timedelta
    credentials: Credentials | None = field(repr=False)
    ca_file: str | None = None
    helo_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """Return a context that verifies the server's certificate and name."""
        return ssl.create_default_context(cafile=self.ca_file)


class ReplyError(Exception):
    """The conversation did not come to a good end.

    Attributes:
        stage: how far it came.
        outcome: what that means.
        code: the server's codes, or the name of the library's error.
        usable: whether the connection can carry another message.
    """

    def __init__(self, stage: Stage, outcome: Outcome, code: str, *, usable: bool) -> None:
        super().__init__(code)
        self.stage = stage
        self.outcome = outcome
        self.code = code
        self.usable = usable


class Connection:
    """A connection that was greeted, secured and logged in."""

    def __init__(self, server: Server) -> None:
        """Connect.

        Raises:
            ReplyError: the server is not reached, not trusted, or does not let us in.
        """
        self._stage = Stage.CONNECT
        self._smtp: smtplib.SMTP | None = None
        try:
            self._smtp = _connect(server)
            self._enter(self._smtp, server)
        except smtplib.SMTPResponseException as error:
            raise self._failed(error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPServerDisconnected as error:
            raise self._lost(error) from None
        except smtplib.SMTPException as error:  # what we need, the server does not offer
            self.close()
            missing = LOGIN_REFUSED if self._stage is Stage.LOGIN else NO_STARTTLS
            raise ReplyError(self._stage, missing, type(error).__name__, usable=False) from None
        except OSError as error:
            raise self._lost(error) from None

    def deliver(self, sender: str, recipient: str, content: bytes) -> None:
        """Hand one message over.

        Args:
            sender: the envelope's sender, to which bounces go.
            recipient: the envelope's recipient.
            content: the message in wire form, lines ending in CRLF.

        Raises:
            ReplyError: the server did not say that it took the message.
        """
        assert self._smtp is not None
        try:
            self._hand_over(self._smtp, sender, recipient, content)
        except OSError as error:  # every error of smtplib is one
            raise self._lost(error) from None

    def close(self) -> None:
        """Take leave, if the server still listens."""
        if self._smtp is None:
            return
        try:
            self._smtp.quit()
        except OSError:
            self._smtp.close()
        self._smtp = None

    def _enter(self, smtp: smtplib.SMTP, server: Server) -> None:
        smtp.ehlo_or_helo_if_needed()
        if server.security is Security.STARTTLS:
            smtp.starttls(context=server.context())
            smtp.ehlo_or_helo_if_needed()
        if server.credentials is not None:
            self._stage = Stage.LOGIN
            smtp.login(server.credentials.key, server.credentials.secret)
        # The line that ends a message is a write of its own, which must not wait for an ACK.
        assert smtp.sock is not None
        smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _hand_over(self, smtp: smtplib.SMTP, sender: str, recipient: str, content: bytes) -> None:
        self._stage = Stage.SENDER
        size = [f"SIZE={len(content)}"] if smtp.has_extn("size") else []
        self._expect(smtp.mail(sender, size), frozenset({250}))
        self._stage = Stage.RECIPIENT
        self._expect(smtp.rcpt(recipient), _RECIPIENT_TAKEN)
        self._stage = Stage.CONTENT
        self._expect(smtp.docmd("DATA"), frozenset({_DATA_WANTED}))
        smtp.send(_LINE_START_DOT.sub(b"..", content))
        self._stage = Stage.END
        smtp.send(b".\r\n")
        self._expect(smtp.getreply(), frozenset({250}))

    def _expect(self, reply: tuple[int, bytes], wanted: frozenset[int]) -> None:
        if reply[0] not in wanted:
            raise self._failed(*reply)

    def _failed(self, code: int, text: bytes | str) -> ReplyError:
        words = text.decode("ascii", "replace") if isinstance(text, bytes) else text
        outcome = reply_outcome(self._stage, code, words)
        return ReplyError(self._stage, outcome, code_of(code, words), usable=self._reset(code))

    def _lost(self, error: Exception) -> ReplyError:
        self.close()
        return ReplyError(
            self._stage, lost_outcome(self._stage), type(error).__name__, usable=False
        )

    def _reset(self, code: int) -> bool:
        """Forget the transaction after a refusal; say whether the connection can go on."""
        understood = code // 100 in {4, 5} and code != 421  # noqa: PLR2004  # 421: it closes
        if self._smtp is None or not understood or self._stage in {Stage.CONNECT, Stage.LOGIN}:
            self.close()
            return False
        try:
            forgotten = self._smtp.rset()[0] == 250  # noqa: PLR2004  # RFC 5321, section 4.3.2
        except OSError:
            forgotten = False
        if not forgotten:
            self.close()
        return forgotten


def _connect(server: Server) -> smtplib.SMTP:
    seconds = server.timeout.total_seconds()
    if server.security is Security.TLS:
        return smtplib.SMTP_SSL(
            server.host,
            server.port,
            local_hostname=server.helo_name,
            timeout=seconds,
            context=server.context(),
        )
    return smtplib.SMTP(server.host, server.port, local_hostname=server.helo_name, timeout=seconds)
