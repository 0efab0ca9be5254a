"""Who speaks, under which address, and to whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sender.vocabulary import ControllerKind, OptOutStyle

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"


@dataclass(frozen=True, slots=True)
class Body:
    """A body on whose behalf the message also goes out."""

    name: str
    postal_address: str


@dataclass(frozen=True, slots=True)
class SenderProfile:
    """The controller as messages show it.

    Attributes:
        promoter_name: promoter of the electoral imprint (Elections Act 2022, section 41); needed
            for e-mail of kinds that need an imprint.
        on_behalf_of: further bodies, each shown with name and postal address.
    """

    slug: str
    name: str
    kind: ControllerKind
    postal_address: str
    contact_email: str
    contact_phone: str | None
    website: str | None
    privacy_notice_url: str
    promoter_name: str | None
    promoter_address: str | None
    on_behalf_of: tuple[Body, ...] = ()


@dataclass(frozen=True, slots=True)
class EmailIdentity:
    """The From and Reply-To of a controller's e-mail."""

    from_address: str
    from_name: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True)
class SmsIdentity:
    """The sender of a controller's text messages.

    Attributes:
        sender: E.164 number, short code, alphanumeric sender (at most 11 characters) or messaging
            service SID.
        display_name: the name that the body must say.
        opt_out_style: how the way out is said; an alphanumeric sender needs a link.
    """

    sender: str
    display_name: str
    opt_out_style: OptOutStyle


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person to write to.

    Attributes:
        address: e-mail address or E.164 number.
        fields: first_name, last_name, title, postcode, locale, time_zone and the contact's
            attributes, flat. A missing or null field is undefined in templates.
        opt_out_url: personal, https.
        third_party_source: where the details came from, set when that was a third party and this
            is the first message to the person, who must then be told (UK GDPR, Article 14).
    """

    address: str
    fields: Mapping[str, JsonValue]
    opt_out_url: str
    third_party_source: str | None = None
