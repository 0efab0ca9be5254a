"""Every word of the sign-up pages; part of the mapping in `texts.py`."""

from collections.abc import Mapping
from typing import Final

SIGN_UP: Final[Mapping[str, str]] = {
    # The form.
    "sign-up.title": "Sign up for messages from {name}",
    "sign-up.lead": (
        "Tick what you want, and give the address that it should go to. We then send one message "
        "there, to make sure that it is yours. Nothing else is sent before you agree in it."
    ),
    "sign-up.agree": "By ticking a box you agree to this, for what stands beside the box:",
    "sign-up.privacy": "How {name} uses your details",
    "sign-up.email-legend": "By email",
    "sign-up.sms-legend": "By text message",
    "sign-up.box": "{messages_first} about “{purpose}”",
    "sign-up.email-label": "Your email address",
    "sign-up.sms-label": "Your mobile number",
    "sign-up.button": "Send me the message to confirm",
    "sign-up.hint": "Only your own address, please: its owner is asked, and can stop everything.",
    # What is wrong with what was filled in.
    "sign-up-wrong.title": "Something is missing or not right",
    "sign-up-wrong.lead": "Nothing was sent. Please look at what is marked, and tick again.",
    "sign-up-changed.title": "The wording has changed",
    "sign-up-changed.lead": "Nothing was sent. Please read it once more, and tick again.",
    "problem.nothing-ticked": "Tick what you want, and give the address for it.",
    "problem.address-missing": "Give the address that it should go to, or take the ticks out.",
    "problem.email-malformed": "This is no email address. It looks like name@example.org.",
    "problem.number-malformed": "This is no telephone number. It looks like 07700 900123.",
    "problem.not-mobile": "This number cannot take text messages. Give a mobile number.",
    "problem.from-abroad": "Only numbers of the United Kingdom can sign up here.",
    "problem.not-ticked": "Tick what you want there, or leave the address out.",
    # After it was filled in; the same for every address.
    "sign-up-asked.title": "Now confirm it",
    "sign-up-asked.lead": (
        "If we may write to what you entered, a message is on its way. Open its link within seven "
        "days and press the button there. Until then you are not signed up."
    ),
    "sign-up-asked.nothing": (
        "Nothing came? We ask an address only once in 30 days, and not where messages were "
        "stopped in another way than by unsubscribing. Write to {email}."
    ),
    "sign-up-full.title": "No more sign-ups today",
    "sign-up-full.lead": "Please come back tomorrow, or write to {email}. Nothing was sent.",
    "sign-up-closed.title": "This form is not open",
    "sign-up-closed.lead": "It takes no sign-ups now. Nothing was sent.",
    # Passing it on (guidance ¶60-62).
    "share.title": "Tell a friend?",
    "share.warning": (
        "Pass this page on only to friends and family who, you are reasonably certain, would "
        "agree to that and be happy to get it. We take no addresses but your own."
    ),
    # The page of a confirmation's link.
    "sign-up-confirm.title": "Do you want {messages} from {name}?",
    "sign-up-confirm.lead": (
        "Somebody asked for them on {day} at {site}, for {address}. Nothing is sent unless you "
        "press the button."
    ),
    "sign-up-confirm.purposes": "They would be about:",
    "sign-up-confirm.consent": "By pressing the button you agree to this:",
    "sign-up-confirm.button": "Yes, I agree",
    "sign-up-confirmed.title": "Thank you. {messages_first} from {name} may come now",
    "sign-up-confirmed.lead": (
        "We noted that you agreed. Every message will have a way out, and you can use it any time."
    ),
    "sign-up-over.title": "This link no longer works",
    "sign-up-over.lead": (
        "It is older than seven days, or something was stopped or changed since. You are not "
        "signed up by it. To get messages from {name}, write to {email}."
    ),
    "sign-up-not-now.title": "This form was closed",
    "sign-up-not-now.lead": (
        "The form that this link came from takes no sign-ups now. Nothing was changed, and you are "
        "not signed up. To get messages from {name}, write to {email}."
    ),
    "not-me.title": "Was it not you?",
    "not-me.button": "That was not me",
    "not-me.hint": (
        "This stops everything at once: {address} gets nothing more from {name}, or from anybody "
        "else whose messages are sent from here. It cannot be undone on this page."
    ),
    "disowned.title": "Stopped: nothing more goes to this address",
    "disowned.lead": (
        "Neither {name} nor anybody else whose messages are sent from here will write to it. We "
        "are sorry that somebody entered it."
    ),
}
"""To translate them, write another mapping with the same keys and the same `{values}`."""
