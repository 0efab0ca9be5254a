"""Mark a test message, so that nobody takes it for the real one."""

from dataclasses import replace

from sender.rendering.message import RenderedEmail, RenderedMessage, RenderedSms, hash_parts

TEST_MARK = "[TEST] "


def marked_as_test(message: RenderedMessage) -> RenderedMessage:
    """Return the message with its subject, or the text message's body, marked as a test."""
    digest = hash_parts([TEST_MARK, message.message_hash.hex()])
    if isinstance(message, RenderedSms):
        return replace(message, body=TEST_MARK + message.body, message_hash=digest)
    assert isinstance(message, RenderedEmail)
    return replace(message, subject=TEST_MARK + message.subject, message_hash=digest)
