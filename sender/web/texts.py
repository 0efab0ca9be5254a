"""Every word of the public pages, in one place; those of the sign-up pages come from beside it.

To translate them, write another mapping with the same keys and the same `{values}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sender.vocabulary import Channel
from sender.web.texts_sign_up import SIGN_UP

ENGLISH: Final[Mapping[str, str]] = {
    **SIGN_UP,
    "language": "en-GB",
    # Channels, as the middle of a sentence.
    "channel.email": "emails",
    "channel.sms": "text messages",
    # Whose message it was.
    "address.unknown": "your address",
    "about.sent": "This is about {messages} from {name} to {address}.",
    "about.forwarded": (
        "Not your address? Then somebody passed this message on to you. "
        "Please leave the buttons to them."
    ),
    # The page of a link, by what is stopped now.
    "title.nothing": "Stop {messages} from {name}?",
    "lead.nothing": "They come to {address}. One press is enough; we ask no questions.",
    "title.purpose": "“{purpose}” is stopped",
    "lead.purpose": (
        "{name} will not send {messages} about “{purpose}” to {address}. Other {messages} from "
        "{name} may still come."
    ),
    "title.channel": "Stopped: no more {messages}",
    "lead.channel": "{name} will send no more {messages} to {address}. Nothing else is needed.",
    "title.everything": "Stopped: nothing more from {name}",
    "lead.everything": (
        "{name} will send you no direct marketing of any kind, at any address of yours that it "
        "knows, and will not use your details to choose whom to contact."
    ),
    # What became of a press that did not just stop something.
    "title.undone": "Undone: {messages} from {name} may come again",
    "lead.undone": "What you just stopped is as it was before.",
    "title.undone-partly": "Undone, but something else is still stopped",
    "lead.undone-partly": "What you just pressed is undone. What was stopped otherwise stands.",
    "title.not-undone": "This can no longer be undone here",
    "lead.not-undone": "An hour has passed, or it was stopped again. Everything stays stopped.",
    "title.passed-on": "Passed on",
    "lead.passed-on": "We told them to stop as well: {names}.",
    "title.not-passed-on": "Not passed on",
    "lead.not-passed-on": "We told nobody else. {name} stays stopped.",
    "title.return-asked": "Look at your email",
    "lead.return-asked": (
        "We send a mail to {address}, unless we did so lately. Open its link and press the button "
        "there. If nothing arrives, write to {email}. Until then everything stays stopped."
    ),
    # The answer to a mail program's own button.
    "one-click.title": "Stopped",
    "one-click.lead": "No more of these messages will be sent to this address.",
    # Choices.
    "choices": "Or choose something else",
    "choices.after": "Do you want something else?",
    "stop.button": "Stop all {messages}",
    "stop.hint": "From {name} to {address}, whatever they are about.",
    "purpose.button": "Stop only “{purpose}”",
    "purpose.hint": "Other {messages} may still come.",
    "everything.button": "Stop everything",
    "everything.hint": (
        "Email, text, calls and post from {name}, at every address of yours that it knows. Your "
        "details are no longer used to choose whom to contact. Free election post may still come."
    ),
    "undo.button": "Undo",
    "undo.hint": "Pressed by mistake? Here you can undo it for one hour.",
    # Passing an objection on.
    "pass-on.title": "Should others stop as well?",
    "pass-on.lead": (
        "These are separate organisations. {name} stopping does not stop them. Tick those that "
        "should stop everything too."
    ),
    "pass-on.legend": "Organisations that should stop",
    "pass-on.button": "Pass it on to those I ticked",
    "pass-on.no-button": "Tell nobody else",
    # The way back.
    "return.title": "Want them again?",
    "return.button": "I want {messages} again",
    "return.hint": "We send a mail to {address} first, to make sure that it is you who asks.",
    "return.by-text": (
        "If you stopped them by texting STOP, text START to the same number. Otherwise write to "
        "{email}."
    ),
    "return.by-writing": "Write to {email}.",
    "back.title": "Do you want {messages} from {name} again?",
    "back.lead": "They would go to {address}. Nothing changes until you press the button.",
    "back.consent": "By pressing the button you agree to this:",
    "back.consent-lacks": (
        "The button lifts what you stopped. {name} will still not write to you before you agree "
        "anew, for example on its website."
    ),
    "back.button": "Yes, I want them again",
    "returned.title": "{messages_first} from {name} may come again",
    "returned.lead": "What you stopped for {address} is lifted. Every message will have a way out.",
    "returned.consent-lacks": (
        "What you stopped is lifted. {name} will not write to you before you agree anew."
    ),
    "not-returned.title": "This link no longer works",
    "not-returned.lead": (
        "It is too old, or something was stopped since it was sent. Everything stays stopped. To "
        "get messages again, write to {email}."
    ),
    # The page of a refresh campaign.
    "confirm.title": "Do you still want {messages} from {name}?",
    "confirm.lead": (
        "They are about “{purpose}” and go to {address}. Nothing changes until you press the "
        "button. If you do nothing, they stop when your earlier agreement is too old."
    ),
    "confirm.consent": "By pressing the button you agree to this again:",
    "confirm.button": "Yes, I still want them",
    "confirm.otherwise": (
        "You want none? The link for opting out in the same message stops them at once."
    ),
    "confirmed.title": "Thank you. {messages_first} from {name} will go on",
    "confirmed.lead": (
        "We noted that you agreed again to “{purpose}” for {address}. Every message will have a "
        "way out."
    ),
    "not-confirmed.title": "This link no longer works",
    "not-confirmed.lead": (
        "It is too old, or something changed since it was sent. Nothing was changed now. If you "
        "want messages from {name}, write to {email}."
    ),
    # Links that lead nowhere.
    "unknown.title": "This link is incomplete",
    "unknown.lead": (
        "We cannot tell which message it belongs to, so it stopped nothing. Please open the link "
        "in the message once more, or press Unsubscribe in your mail program."
    ),
    "unavailable.title": "This did not work. Please try again soon",
    "unavailable.lead": (
        "The link is genuine, but we cannot find its message right now, so nothing was stopped "
        "yet. We have been told. If you do not want to wait, use another way."
    ),
    "way-out.title": "Another way to stop messages",
    "way-out.one": "Write or call, and say what you do not want any more.",
    "way-out.several": "Write to or call whoever sent the message.",
    "way-out.text": "A text message can be answered with STOP where it came from a number.",
    "preview.title": "This is the link of a preview",
    "preview.lead": "It belongs to no message that was sent, so it stops nothing.",
    # The foot of each page.
    "foot.contact": "How to reach {name}",
    "foot.privacy": "Privacy notice of {name}",
}


@dataclass(frozen=True, slots=True)
class Words:
    """Says a text with values that each text of a page may use."""

    texts: Mapping[str, str]
    values: Mapping[str, str]

    def __call__(self, key: str, **more: str) -> str:
        """Return the text.

        Raises:
            KeyError: there is no such text, or it wants a value that is not there.
        """
        return self.texts[key].format_map({**self.values, **more})


def channel_words(texts: Mapping[str, str], channel: Channel) -> dict[str, str]:
    """Return what messages of a channel are called, within a sentence and at its beginning."""
    messages = texts[f"channel.{channel.value}"]
    return {"messages": messages, "messages_first": messages[:1].upper() + messages[1:]}
