"""What the web side takes at most, and how long it waits, in one place with the reasons."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one server; tests make them tiny.

    Attributes:
        head_bytes: of request line and headers together.
        page_body_bytes: of a form from a page or a mail program; a one-click is under 1 KiB.
        webhook_body_bytes: of a provider's request. SNS sends at most 256 KiB of message, which
            JSON's escaping can double.
        request_bytes: of everything that one request sends, chunk framing and trailers too.
        head_time: from the connection, or the answer before, to the whole head of a request.
        body_time: from the head to the whole body.
        answer_time: from the whole request to the answer; what takes longer is answered 503. SNS
            and Twilio wait 15 s.
        exchange_time: from the head until the answer was read; whoever reads slower is cut off.
        keep_alive_time: how long a connection may be silent after an answer.
        stop_time: how long requests under way may take when the server is told to stop.
        connections: open at the same time; further ones are closed at once.
        requests_under_way: that are being worked on; further ones are answered 503.
        threads: that work on the database. Fewer than the pool's 15 connections, so that none waits
            for one.
        lock_time: how long a statement waits for another transaction's lock.
        statement_time: how long one statement may take on PostgreSQL.
        connect_time: how long a connection to PostgreSQL may take.
        looks_per_minute: pages that one client address may fetch, on average; twice that at once.
        refusals_per_minute: requests of one client address that may do no good, on average; twice
            that at once. Only further looks are refused for it, never a POST.
        clients: addresses that are remembered for the two above; the longest unseen is forgotten.
    """

    head_bytes: int = 16 * 1024
    page_body_bytes: int = 64 * 1024
    webhook_body_bytes: int = 512 * 1024
    request_bytes: int = 2 * 1024 * 1024
    head_time: timedelta = timedelta(seconds=10)
    body_time: timedelta = timedelta(seconds=10)
    answer_time: timedelta = timedelta(seconds=14)
    exchange_time: timedelta = timedelta(seconds=60)
    keep_alive_time: timedelta = timedelta(seconds=5)
    stop_time: timedelta = timedelta(seconds=25)
    connections: int = 800
    requests_under_way: int = 200
    threads: int = 10
    lock_time: timedelta = timedelta(seconds=8)
    statement_time: timedelta = timedelta(seconds=10)
    connect_time: timedelta = timedelta(seconds=5)
    looks_per_minute: int = 300
    refusals_per_minute: int = 20
    clients: int = 10_000

    def body_bytes_for(self, path: str) -> int:
        """Return how large a body may be that is sent to `path`."""
        return self.webhook_body_bytes if path.startswith("/webhooks/") else self.page_body_bytes
