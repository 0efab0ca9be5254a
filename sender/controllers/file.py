"""A controller file: who it is, what it asks consent for, and under which addresses it writes."""

import re
from pathlib import Path
from typing import Annotated, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from sender.controllers.accounts_file import AccountEntry
from sender.controllers.sending_policy_file import SendingPolicyTables
from sender.toml.model import HttpsUrl, Line, PostalAddress, Slug, Table, read_model, refused
from sender.vocabulary import Channel, ControllerKind, OptOutStyle

_PURPOSE: Final = re.compile(r"[a-z0-9][a-z0-9-]*(?::[a-z0-9-]+)?")
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_COLOUR: Final = re.compile(r"#[0-9A-Fa-f]{6}")
_LINEAR_UP_TO: Final = 0.04045
MINIMUM_CONTRAST: Final = 4.5
"""Of text against its ground (WCAG 2.2, success criterion 1.4.3)."""
_SHORT_CODE: Final = re.compile(r"[0-9]{5,6}")
_MESSAGING_SERVICE: Final = re.compile(r"MG[0-9a-f]{32}")
_ALPHANUMERIC: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}")
"""At most 11 characters of GSM's common ones, one a letter (Twilio, "Alphanumeric Sender ID")."""


def is_alphanumeric_sender(address: str) -> bool:
    """Whether an SMS sender is a name, which nobody can reply STOP to."""
    return bool(_ALPHANUMERIC.fullmatch(address))


def _email(value: str) -> str:
    try:
        valid = validate_email(value, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        raise refused("is not an e-mail address.", "Write office@example.org.") from None
    return f"{valid.local_part}@{valid.ascii_domain}"


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise refused("is not a time zone.", "Write e.g. Europe/London.") from None
    return value


def _purpose_slug(value: str) -> str:
    if not _PURPOSE.fullmatch(value):
        raise refused("is not a purpose.", "Write campaign-news or local-issue:school-closure.")
    return value


Email = Annotated[str, AfterValidator(_email), Field(max_length=320)]
TimeZone = Annotated[str, AfterValidator(_time_zone), Field(max_length=64)]
PurposeSlug = Annotated[str, AfterValidator(_purpose_slug), Field(max_length=100)]


def _readable_colour(value: str) -> str:
    if not _COLOUR.fullmatch(value):
        raise refused("is no colour.", "Write six hexadecimal digits, e.g. #0b5fff.")
    channels = [int(value[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= _LINEAR_UP_TO else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    if 1.05 / (luminance + 0.05) < MINIMUM_CONTRAST:
        raise refused("cannot be read on white.", "Choose a darker one (WCAG 2.2, 1.4.3).")
    return value.lower()


BrandColour = Annotated[str, AfterValidator(_readable_colour)]


class Imprint(Table):
    """Who promotes the material, and where (Elections Act 2022, section 41)."""

    promoter_name: Line
    promoter_address: PostalAddress


class PurposeEntry(Table):
    """A kind of marketing that people are asked about."""

    slug: PurposeSlug
    title: Line


class FreshnessEntry(Table):
    """How old a yes may be, for all channels and purposes or for some (guidance ¶57)."""

    channel: Channel | None = None
    purpose: PurposeSlug | None = None
    warn_months: Annotated[int, Field(ge=1, le=600)]
    hold_months: Annotated[int, Field(ge=1, le=600)]

    @field_validator("hold_months")
    @classmethod
    def _not_before_the_warning(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("warn_months", 0):
            raise refused("must not be less than warn_months.")
        return value


class RetentionEntry(Table):
    """How long what shows why the controller wrote is kept (guidance ¶83)."""

    limitation_years: Annotated[int, Field(ge=1, le=30)]


class IdentityEntry(Table):
    """A From address, or an SMS sender: number, short code, name or messaging service."""

    channel: Channel
    name: Slug
    address: Annotated[str, Field(max_length=320)]
    display_name: Line
    reply_to: Email | None = None
    opt_out_style: Annotated[OptOutStyle | None, Field(validate_default=True)] = None
    account: Slug

    @field_validator("address")
    @classmethod
    def _fits_the_channel(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("channel") is Channel.EMAIL:
            return _email(value)
        kinds = (_E164, _SHORT_CODE, _MESSAGING_SERVICE, _ALPHANUMERIC)
        if not any(kind.fullmatch(value) for kind in kinds):
            raise refused(
                "is no SMS sender.",
                "Write a number with country code (+44…), a short code, a messaging service "
                "(MG…), or a name of at most 11 letters and digits.",
            )
        return value

    @field_validator("reply_to")
    @classmethod
    def _email_only(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("channel") is Channel.SMS:
            raise refused("is for e-mail only.", "Take it out.")
        return value

    @field_validator("opt_out_style")
    @classmethod
    def _possible_way_out(
        cls, value: OptOutStyle | None, info: ValidationInfo
    ) -> OptOutStyle | None:
        """A name takes no replies: STOP would reach nobody, so the way out must be a link."""
        if info.data.get("channel") is Channel.EMAIL:
            if value is not None:
                raise refused("is for sms only.", "Take it out; e-mail always has a link.")
            return None
        takes_replies = not is_alphanumeric_sender(info.data.get("address", ""))
        if value in {OptOutStyle.REPLY, OptOutStyle.BOTH} and not takes_replies:
            raise refused("cannot be a reply: nobody can reply to a name.", 'Write "link".')
        return value or (OptOutStyle.REPLY if takes_replies else OptOutStyle.LINK)


E = TypeVar("E")


class ControllerFile(SendingPolicyTables):
    """All that `sender controller add` and `update` read."""

    slug: Slug
    name: Line
    kind: ControllerKind
    postal_address: PostalAddress
    contact_email: Email
    contact_phone: Annotated[str, Field(max_length=32)] | None = None
    website: HttpsUrl | None = None
    privacy_notice_url: HttpsUrl
    time_zone: TimeZone = "Europe/London"
    brand_colour: BrandColour | None = None
    relatives: tuple[Slug, ...] = ()
    imprint: Annotated[Imprint | None, Field(validate_default=True)] = None
    purposes: Annotated[tuple[PurposeEntry, ...], Field(alias="purpose")] = ()
    accounts: Annotated[tuple[AccountEntry, ...], Field(alias="account")] = ()
    identities: Annotated[tuple[IdentityEntry, ...], Field(alias="identity")] = ()
    freshness: tuple[FreshnessEntry, ...] = ()
    retention: RetentionEntry | None = None

    @field_validator("contact_phone")
    @classmethod
    def _international(cls, value: str | None) -> str | None:
        if value is not None and not _E164.fullmatch(re.sub(r"[ ()-]", "", value)):
            raise refused("must begin with its country code.", "Write +44 20 7946 0000.")
        return value

    @field_validator("imprint")
    @classmethod
    def _due(cls, value: Imprint | None, info: ValidationInfo) -> Imprint | None:
        kind = info.data.get("kind")
        if value is None and kind is not None and kind.needs_imprint:
            raise refused(
                f"is missing: e-mail of the kind {kind} must name its promoter.",
                "Add [imprint] with promoter_name and promoter_address.",
            )
        return value

    @field_validator("relatives")
    @classmethod
    def _others(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if info.data.get("slug") in value:
            raise refused("names the controller itself.", "Take it out.")
        return value

    @field_validator("purposes", "accounts", "identities", "freshness")
    @classmethod
    def _no_doubles(cls, value: tuple[E, ...]) -> tuple[E, ...]:
        seen: set[tuple[object, ...]] = set()
        for entry in value:
            key = _key(entry)
            if key in seen:
                shown = ", ".join(str(part or "all") for part in key)
                raise refused(f"has {shown} twice.", "Take one out.")
            seen.add(key)
        return value


def _key(entry: object) -> tuple[object, ...]:
    if isinstance(entry, PurposeEntry):
        return (entry.slug,)
    if isinstance(entry, AccountEntry):
        return (entry.name,)
    if isinstance(entry, IdentityEntry):
        return (entry.channel, entry.name)
    assert isinstance(entry, FreshnessEntry)
    return (entry.channel, entry.purpose)


def read_controller_file(path: Path) -> ControllerFile:
    """Return what the file says.

    Raises:
        FileErrors: every mistake, each with line, key and remedy.
    """
    return read_model(path, ControllerFile)
