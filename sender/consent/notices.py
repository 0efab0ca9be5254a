"""Notices: the exact wordings that people saw, each version kept (guidance ¶25, ¶55, ¶77)."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field, ValidationInfo, field_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.consent.purposes import find_purpose
from sender.controllers.file import PurposeSlug
from sender.controllers.lookup import current_version, find_controller, unknown
from sender.errors import NotFoundError, RefusedError
from sender.store import audit_trail
from sender.store.consents import Notice
from sender.store.controllers import Controller
from sender.toml.model import HttpsUrl, Line, Slug, Table, error_at, read_model, read_text, refused
from sender.vocabulary import Channel

MAX_WORDING: Final = 20_000
_BLANK: Final = re.compile(r"\s+")


class NoticeFile(Table):
    """All that `sender notice add` reads.

    Attributes:
        controllers: every body that the wording names, the owner among them if it does.
        pre_ticked: whether the box was ticked beforehand; such a yes is none.
        bundled: whether agreeing was a condition of something else; such a yes is none.
        screenshot: a picture of the form as people saw it, of one that is archived.
        signed_off_by: who answers for it that the words, the picture and the dates are right;
            needed where it was shown before the day on which it is recorded.
    """

    controller: Slug
    slug: Slug
    wording: Annotated[str | None, Field(max_length=MAX_WORDING)] = None
    wording_file: Annotated[str | None, Field(validate_default=True)] = None
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    purposes: Annotated[tuple[PurposeSlug, ...], Field(min_length=1)]
    controllers: Annotated[tuple[Slug, ...], Field(min_length=1)]
    privacy_notice_url: HttpsUrl
    shown_from: AwareDatetime | date
    shown_until: AwareDatetime | date | None = None
    pre_ticked: bool = False
    bundled: bool = False
    screenshot: Annotated[str | None, Field(max_length=255)] = None
    signed_off_by: Line | None = None

    @field_validator("screenshot")
    @classmethod
    def _bare_name(cls, value: str | None) -> str | None:
        return value and _beside(value)

    @field_validator("wording_file")
    @classmethod
    def _one_of_both(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "wording" in info.data and (value is None) == (info.data["wording"] is None):
            raise refused(
                "or wording is needed, and not both.",
                "Give the exact words in wording, or the name of their file in wording_file.",
            )
        return value and _beside(value)


def _beside(name: str) -> str:
    if "/" in name or "\\" in name or name.startswith("."):
        raise refused("must lie beside this file.", "Give its bare name.")
    return name


@dataclass(frozen=True, slots=True)
class NoticeChange:
    """What became of a notice file; `version` is the one in force now."""

    slug: str
    version: int
    changed: bool


def add_notice(session: Session, path: Path, *, operator: str, now: datetime) -> NoticeChange:
    """Record the notice, or a new version of it; an unchanged one is left alone.

    Raises:
        FileErrors: mistakes in the file, each with line, key and remedy.
        FileError: the wording does not name a controller that it is said to name (¶55, ¶77), the
            file names a controller or purpose that is nowhere, or nobody answers for a wording of
            before today.
    """
    file = read_model(path, NoticeFile)
    controller = _controller(session, file, path)
    columns = _columns(session, file, path, controller)
    latest = latest_notice(session, controller.id, file.slug)
    if latest is not None and all(getattr(latest, name) == columns[name] for name in columns):
        return NoticeChange(file.slug, latest.version, changed=False)
    _require_vouched_for(session, file, path, controller, now)
    version = 1 if latest is None else latest.version + 1
    session.add(
        Notice(
            controller_id=controller.id,
            slug=file.slug,
            version=version,
            recorded_at=now,
            operator=operator,
            **columns,
        )
    )
    audit_trail.record(
        session,
        now=now,
        operator=operator,
        action="notice.add",
        controller_id=controller.id,
        details={"notice": file.slug, "version": version},
    )
    return NoticeChange(file.slug, version, changed=True)


def latest_notice(session: Session, controller_id: int, slug: str) -> Notice | None:
    """Return the latest version of a notice, if there is one."""
    query = (
        select(Notice)
        .where(Notice.controller_id == controller_id, Notice.slug == slug)
        .order_by(Notice.version.desc())
        .limit(1)
    )
    return session.scalar(query)


def list_notices(session: Session, controller_id: int) -> Sequence[Notice]:
    """Return every version of every notice of the controller."""
    query = (
        select(Notice)
        .where(Notice.controller_id == controller_id)
        .order_by(Notice.slug, Notice.version)
    )
    return session.scalars(query).all()


def find_notice(session: Session, controller: Controller, name: str) -> Notice:
    """Return the notice called `slug` (its latest version) or `slug@version`.

    Raises:
        NotFoundError: there is none; the remedy names the nearest.
    """
    slug, _, version = name.partition("@")
    known = list_notices(session, controller.id)
    fitting = [row for row in known if row.slug == slug and version in {"", str(row.version)}]
    if fitting:
        return fitting[-1]
    names = sorted({row.slug for row in known} | {f"{row.slug}@{row.version}" for row in known})
    see = f"sender notice list --controller {controller.slug}"
    raise unknown(f"notice {name} of controller {controller.slug}", name, names, see=see)


def require_valid_consent(
    notice: Notice, controller: Controller, channel: Channel, purpose: str, given_at: datetime
) -> None:
    """Refuse a yes that this wording cannot have got.

    Raises:
        RefusedError: the wording did not name this controller, channel or purpose, was not shown
            at that time, or was pre-ticked or bundled (guidance ¶25, ¶52-55, ¶77).
    """
    name = f"Notice {notice.slug}@{notice.version}"
    problems = (
        (controller.slug not in notice.controllers, f"{name} does not name {controller.slug}."),
        (channel.value not in notice.channels, f"{name} does not name the channel {channel}."),
        (purpose not in notice.purposes, f"{name} does not name the purpose {purpose}."),
        (notice.pre_ticked, f"{name} was ticked beforehand: that is no consent."),
        (notice.bundled, f"{name} was a condition of something else: that is no consent."),
        (given_at < notice.shown_from, f"{name} was not shown yet at that time."),
        (
            notice.shown_until is not None and given_at >= notice.shown_until,
            f"{name} was no longer shown at that time.",
        ),
    )
    for wrong, problem in problems:
        if wrong:
            raise RefusedError(problem, remedy="Name the version that this person saw.")


def _controller(session: Session, file: NoticeFile, path: Path) -> Controller:
    try:
        return find_controller(session, file.controller)
    except NotFoundError as error:
        raise error_at(path, ("controller",), error.problem, error.remedy) from None


def _columns(
    session: Session, file: NoticeFile, path: Path, controller: Controller
) -> dict[str, object]:
    for place, slug in enumerate(file.purposes):
        try:
            find_purpose(session, controller, slug)
        except NotFoundError as error:
            raise error_at(path, ("purposes", place), error.problem, error.remedy) from None
    wording = _wording(file, path)
    _require_named(session, file, path, wording)
    zone = _zone(session, controller)
    shown_until = file.shown_until
    columns: dict[str, object] = {
        "wording": wording,
        "privacy_notice_url": file.privacy_notice_url,
        "channels": [channel.value for channel in file.channels],
        "purposes": list(file.purposes),
        "controllers": list(file.controllers),
        "pre_ticked": file.pre_ticked,
        "bundled": file.bundled,
        "shown_from": _moment(file.shown_from, zone),
        "shown_until": None if shown_until is None else _moment(shown_until, zone),
        "signed_off_by": file.signed_off_by,
        **_screenshot(file, path),
    }
    if shown_until is not None and _moment(shown_until, zone) <= _moment(file.shown_from, zone):
        raise error_at(path, ("shown_until",), "must be later than shown_from.")
    return columns


def _require_vouched_for(
    session: Session, file: NoticeFile, path: Path, controller: Controller, now: datetime
) -> None:
    """What is recorded afterwards makes old yeses count: somebody answers for it (¶25, ¶55)."""
    zone = _zone(session, controller)
    today = _moment(now.astimezone(zone).date(), zone)
    if file.signed_off_by is None and _moment(file.shown_from, zone) < today:
        raise error_at(
            path,
            ("shown_from",),
            "lies before today, and nobody answers for it.",
            "Name in signed_off_by who knows that these very words were shown since then; or put "
            "the day from which they are shown.",
        )


def _zone(session: Session, controller: Controller) -> ZoneInfo:
    return ZoneInfo(current_version(session, controller.id).time_zone)


def _wording(file: NoticeFile, path: Path) -> str:
    if file.wording is not None:
        return _required(file.wording.strip(), path, "wording")
    beside = path.parent / str(file.wording_file)
    if beside.is_symlink():
        raise error_at(path, ("wording_file",), "is a link.", "Put the words into a plain file.")
    return _required(read_text(beside).strip()[:MAX_WORDING], path, "wording_file")


def _screenshot(file: NoticeFile, path: Path) -> dict[str, object]:
    """Return the columns that tie a notice to its picture: the file itself is yours to keep."""
    if file.screenshot is None:
        return {"screenshot": None, "screenshot_sha256": None}
    try:
        with (path.parent / file.screenshot).open("rb") as picture:
            digest = hashlib.file_digest(picture, "sha256").digest()
    except OSError as error:
        problem, remedy = f"cannot be read: {error.strerror}.", "Put the picture beside this file."
        raise error_at(path, ("screenshot",), problem, remedy) from None
    return {"screenshot": file.screenshot, "screenshot_sha256": digest}


def _required(wording: str, path: Path, key: str) -> str:
    if not wording:
        raise error_at(path, (key,), "holds no words.", "Copy the exact words that people saw.")
    return wording


def _require_named(session: Session, file: NoticeFile, path: Path, wording: str) -> None:
    """The words must hold the name of each body: a slug in a file is not what people read."""
    read = _BLANK.sub(" ", wording).casefold()
    for place, slug in enumerate(file.controllers):
        try:
            name = current_version(session, find_controller(session, slug).id).name
        except NotFoundError as error:
            raise error_at(path, ("controllers", place), error.problem, error.remedy) from None
        if not _is_named(name.casefold(), read):
            raise error_at(
                path,
                ("controllers", place),
                f'the wording does not name "{name}" ({slug}).',
                "Only bodies that the words themselves name may rely on them (guidance ¶55, ¶77): "
                "take it out, or record the words that people really saw.",
            )


def _is_named(name: str, words: str) -> bool:
    """Whether the name stands there as words of its own: an annual report names no Ann."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words) is not None


def _moment(value: date, zone: ZoneInfo) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return datetime.combine(value, time(), tzinfo=zone).astimezone(UTC)
