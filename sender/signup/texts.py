"""The confirmation that is sent: fixed, says where it came from, and asks for nothing but a press.

No purpose, slogan or wording of the controller is in it: it goes to an address that somebody typed,
maybe a stranger (guidance ¶61-65), so it must not be marketing itself.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sender.campaigns.reply_mail import reply_email, reply_sms
from sender.rendering.message import RenderedMessage
from sender.store.controllers import ControllerVersion, SenderIdentity
from sender.vocabulary import Channel

LASTS_DAYS: Final = 7

_SUBJECT: Final = "Did you ask for messages from {name}?"
_EMAIL: Final = """\
On {day}, somebody entered this address into the form at {site} and asked for emails from {name}. \
You will get none unless you agree.

If it was you, open this page and press the button:

{link}

The link works for {lasts} days. If it was not you, you can do nothing; or open the page and press \
“That was not me”. Then this address gets nothing more, from {name} or from anybody else whose \
messages we send."""
_SMS: Final = (
    "{name}: did you ask for our texts? Confirm, or say it was not you: {link} "
    "Asked at {site}, {day}. If you do nothing, you get none."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a confirmation tells.

    Attributes:
        site: where the form stands.
        at: when it was filled in.
        link: to the page that confirms.
    """

    site: str
    at: datetime
    link: str


def confirmation(
    version: ControllerVersion, identity: SenderIdentity, address: str, asked: Asked
) -> RenderedMessage:
    """Return the message to one address, on the identity's channel."""
    local = asked.at.astimezone(ZoneInfo(version.time_zone))
    if identity.channel is Channel.SMS:
        told = {"day": f"{local:%d/%m %H:%M}", "site": _host(asked.site), "link": asked.link}
        return reply_sms(identity, address, _SMS.format(name=_one_line(version.name), **told))
    text = _EMAIL.format(
        name=version.name,
        day=f"{local.day} {local:%B %Y} at {local:%H:%M}",
        site=asked.site,
        link=asked.link,
        lasts=LASTS_DAYS,
    )
    return reply_email(version, identity, address, _SUBJECT.format(name=version.name), text)


def _host(site: str) -> str:
    return site.removeprefix("https://").partition("/")[0]


def _one_line(text: str) -> str:
    return " ".join(text.split())
