"""Write messages to a folder instead of sending them."""

import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from email.errors import MessageError
from pathlib import Path

from sender.clock import Clock
from sender.errors import ProviderError
from sender.providers.account import AccountSettings
from sender.providers.base import (
    Accepted,
    BatchResult,
    Capacity,
    Directive,
    Outgoing,
    Rejected,
    Result,
)
from sender.providers.outbox.files import Entry, append, run_folder, write
from sender.providers.outbox.pages import write_pages
from sender.providers.outcome import NOT_STARTED, Meaning, Outcome
from sender.rendering.message import RenderedEmail
from sender.rendering.mime import to_wire
from sender.vocabulary import Channel, ProviderName

FULL_RATE = 10_000.0
"""Messages per second where the account names no rate: faster than any disk writes them."""

BATCH_LIMIT = 100

DISK = Outcome(
    Meaning.STOP_RUN,
    "The outbox cannot be written.",
    "docs/providers.md",
    remedy="Make room or mend the folder's permissions, then resume the run.",
)


class OutboxProvider:
    """A folder of messages. Its pages are brought up to date when it is closed."""

    name = ProviderName.OUTBOX
    channels = frozenset(Channel)
    batch_limit = BATCH_LIMIT
    messages_per_call = BATCH_LIMIT
    concurrency = 1

    def __init__(
        self,
        settings: AccountSettings,
        environ: Mapping[str, str],  # noqa: ARG002  # every provider is opened alike
        clock: Clock,
        timeout: timedelta,  # noqa: ARG002  # every provider is opened alike
    ) -> None:
        """Open the outbox; nothing is written yet.

        Raises:
            ProviderError: the option folder is missing.
        """
        self._settings = settings
        self._folder = Path(settings.option("folder"))
        self._clock = clock
        self._lock = threading.Lock()

    def capacity(self) -> Capacity:
        """Bring the pages up to date, which shows that the folder can be written.

        Raises:
            ProviderError: it cannot.
        """
        try:
            self._write_pages()
        except OSError as error:
            raise ProviderError(
                f"Provider account {self._settings.name}: {DISK.detail} ({error.strerror})",
                remedy=DISK.remedy,
            ) from None
        return Capacity(
            rate_per_second=self._settings.rate_per_second or FULL_RATE,
            remaining_today=self._settings.daily_quota,
            sandbox=False,
            sending_enabled=True,
            detail=f"Outbox {self._folder}: nothing leaves this machine",
        )

    def send(self, batch: Sequence[Outgoing], start_before: float) -> BatchResult:
        """Write each message to its run's folder."""
        with self._lock:
            try:
                self._announce(batch)
            except OSError as error:
                return _disk_failure(batch, error)
            results: list[Result] = []
            for outgoing in batch:
                if self._clock.monotonic() >= start_before:
                    break
                try:
                    results.append(self._write_one(outgoing))
                except OSError as error:
                    failed = _disk_failure(batch[len(results) :], error)
                    return _finish(batch, [*results, *failed.results], failed.directive)
            return _finish(batch, results, None)

    def close(self) -> None:
        """Bring the pages up to date."""
        self._write_pages()

    def _write_pages(self) -> None:
        with self._lock:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_pages(self._folder)

    def _announce(self, batch: Sequence[Outgoing]) -> None:
        by_run: dict[int, list[Entry]] = {}
        for outgoing in batch:
            by_run.setdefault(outgoing.run_id, []).append(_entry(outgoing))
        for run_id, entries in by_run.items():
            append(run_folder(self._folder, run_id), entries)

    def _write_one(self, outgoing: Outgoing) -> Result:
        folder = self._folder / f"run-{outgoing.run_id}"
        entry = _entry(outgoing)
        message = outgoing.message
        message_id = f"{outgoing.delivery_id}.{outgoing.run_id}@outbox.invalid"
        if not isinstance(message, RenderedEmail):
            write(folder / entry.file_name, message.body.encode())
            return Accepted(message_id)
        try:
            source = to_wire(message, message_id=message_id, date=self._clock.now())
        except (ValueError, MessageError) as error:
            return Rejected(code=type(error).__name__, detail="No mail can be made of it.")
        write(folder / entry.view_name, message.html.encode())
        write(folder / entry.file_name, source)
        return Accepted(message_id)


def _entry(outgoing: Outgoing) -> Entry:
    message = outgoing.message
    if isinstance(message, RenderedEmail):
        return Entry(
            delivery_id=outgoing.delivery_id,
            controller=outgoing.controller_slug,
            channel=Channel.EMAIL,
            sender=f"{message.from_name} <{message.from_address}>",
            recipient=message.to_address,
            summary=message.subject,
        )
    return Entry(
        delivery_id=outgoing.delivery_id,
        controller=outgoing.controller_slug,
        channel=Channel.SMS,
        sender=message.sender,
        recipient=message.to_number,
        summary=message.body,
    )


def _disk_failure(batch: Sequence[Outgoing], error: OSError) -> BatchResult:
    """The first message was tried and is not there, since files appear whole or not at all."""
    code = type(error).__name__
    rest = [NOT_STARTED] * (len(batch) - 1)
    return BatchResult(
        results=(DISK.result(code), *rest)[: len(batch)], directive=DISK.directive(code)
    )


def _finish(
    batch: Sequence[Outgoing], results: Sequence[Result], directive: Directive | None
) -> BatchResult:
    unstarted = [NOT_STARTED] * (len(batch) - len(results))
    calls = sum(result != NOT_STARTED for result in results)
    return BatchResult(results=(*results, *unstarted), directive=directive, calls=calls)
