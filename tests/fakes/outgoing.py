"""Messages and a clock for provider tests."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sender.providers.base import Outgoing
from sender.rendering.message import RenderedEmail, RenderedSms
from sender.rendering.segments import count_segments

NOON = datetime(2026, 4, 21, 12, 0, tzinfo=UTC)
NEVER = float("inf")


class ManualClock:
    """Time that moves only when told; `sleep` moves it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds - 1000.0)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def email(
    delivery_id: int,
    *,
    to: str | None = None,
    from_name: str = "Example Party",
    from_address: str = "news@party.example",
    reply_to: str | None = "office@party.example",
    subject: str = "Polling day",
    html: str = "<p>Hello</p>",
    headers: tuple[tuple[str, str], ...] | None = None,
) -> Outgoing:
    opt_out = f"https://out.party.example/u/{delivery_id}"
    extra = (
        ("List-Unsubscribe", f"<{opt_out}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    )
    return Outgoing(
        delivery_id=delivery_id,
        run_id=7,
        controller_slug="party",
        message=RenderedEmail(
            to_address=to or f"person{delivery_id}@voters.example",
            from_address=from_address,
            from_name=from_name,
            reply_to=reply_to,
            subject=subject,
            html=html,
            text=f"Hello\n.\nOpt out: {opt_out}\n",
            headers=extra if headers is None else headers,
            opt_out_url=opt_out,
            message_hash=sha256(str(delivery_id).encode()).digest(),
            warnings=(),
        ),
        expires_at=NOON + timedelta(minutes=15),
    )


def sms(
    delivery_id: int,
    *,
    to: str | None = None,
    sender: str = "+447700900001",
    body: str = "Example Party: polls close at 10pm. Reply STOP to opt out",
    expires_in: timedelta = timedelta(minutes=15),
) -> Outgoing:
    return Outgoing(
        delivery_id=delivery_id,
        run_id=7,
        controller_slug="party",
        message=RenderedSms(
            to_number=to or f"+4477009{delivery_id:05d}",
            sender=sender,
            body=body,
            segments=count_segments(body),
            opt_out_url=None,
            message_hash=sha256(str(delivery_id).encode()).digest(),
            warnings=(),
        ),
        expires_at=NOON + expires_in,
    )
