"""What a renderer hands over: one finished message to one address."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from sender.rendering.segments import SegmentCount


@dataclass(frozen=True, slots=True)
class RenderedEmail:
    """An e-mail that passed the rendered check.

    Attributes:
        headers: every extra header (List-Unsubscribe, List-Unsubscribe-Post, List-Id,
            Feedback-ID); at most 15, values of at most 995 printable ASCII characters (the limits
            of Amazon SES v2 `MessageHeader`).
        opt_out_url: this recipient's own https link, as it stands in both parts and in the header.
        message_hash: SHA-256 over every part, each prefixed with its length.
        warnings: what does not forbid sending, e.g. HTML over Gmail's 102 KB.
    """

    to_address: str
    from_address: str
    from_name: str
    reply_to: str | None
    subject: str
    html: str
    text: str
    headers: tuple[tuple[str, str], ...]
    opt_out_url: str
    message_hash: bytes
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RenderedSms:
    """A text message that passed the rendered check.

    Attributes:
        sender: E.164 number, short code, alphanumeric sender or messaging service SID.
        segments: encoding, parts and units.
        opt_out_url: the personal link, or None where the way out is a reply alone.
        message_hash: SHA-256 over every part, each prefixed with its length.
    """

    to_number: str
    sender: str
    body: str
    segments: SegmentCount
    opt_out_url: str | None
    message_hash: bytes
    warnings: tuple[str, ...]


RenderedMessage = RenderedEmail | RenderedSms


def hash_parts(parts: Iterable[str | None]) -> bytes:
    """Return SHA-256 over the parts; no two different sequences feed it the same bytes."""
    texts = tuple(parts)
    lengths = ["-" if text is None else str(len(text)) for text in texts]
    whole = ",".join(lengths) + ":" + "".join([text for text in texts if text])
    return sha256(whole.encode()).digest()
