"""Public forms: which notice is shown where, declared by a file and open until a file closes it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.consent.notices import latest_notice
from sender.controllers.lookup import find_controller, unknown
from sender.errors import NotFoundError
from sender.signup.open_form import latest_form, open_form_of
from sender.store import audit_trail
from sender.store.controllers import Controller
from sender.store.sign_ups import SignUp, SignUpForm
from sender.toml.model import HttpsUrl, Slug, Table, error_at, is_https, read_model, refused

USUAL_MOST_A_DAY: Final = 500
HIGHEST_MOST_A_DAY: Final = 100_000
_LONGEST_SITE: Final = 200


def _origin(value: str) -> str:
    parts = urlsplit(value) if is_https(value) else None
    if parts is None or value != f"https://{parts.netloc}" or "@" in value:
        raise refused("is not a web origin.", "Write https://www.example.org, without a path.")
    return value.lower()


Origin = Annotated[str, AfterValidator(_origin), Field(max_length=200)]
Site = Annotated[HttpsUrl, Field(max_length=_LONGEST_SITE)]


class SignUpFormFile(Table):
    """All that `sender form add` reads.

    Attributes:
        notice: the notice whose latest version is shown.
        site: the page that the form stands on; without one, our own page.
        origins: web origins whose scripts may use the JSON endpoint.
        most_a_day: sign-ups of the controller within a day after which this form takes no more.
        open: whether it takes any.
    """

    controller: Slug
    slug: Slug
    notice: Slug
    site: Site | None = None
    origins: tuple[Origin, ...] = ()
    most_a_day: Annotated[int, Field(ge=1, le=HIGHEST_MOST_A_DAY)] = USUAL_MOST_A_DAY
    open: bool = True


@dataclass(frozen=True, slots=True)
class FormChange:
    """What became of a form file.

    Attributes:
        slug: of the form.
        version: the one in force now.
        changed: whether it is a new one.
        not_sent: how many confirmations waited to be sent and are not, because it was closed.
    """

    slug: str
    version: int
    changed: bool
    not_sent: int = 0


@dataclass(frozen=True, slots=True)
class Listed:
    """A form, and what it asks for now.

    Attributes:
        form: its slug and version.
        notice: the notice that it shows.
        path: where it is served, under the public address.
        boxes: channel and purpose of each box; none where it takes nothing now.
        is_open: whether it was left open.
    """

    form: str
    notice: str
    path: str
    boxes: tuple[str, ...]
    is_open: bool


def add_form(session: Session, path: Path, *, operator: str, now: datetime) -> FormChange:
    """Record the form, or a new version of it; an unchanged one is left alone.

    One that is closed sends no confirmation any more, also of what was asked for before.

    Raises:
        FileErrors: mistakes in the file, each with line, key and remedy.
        FileError: the file names a controller or notice that is nowhere.
    """
    file = read_model(path, SignUpFormFile)
    controller = _controller(session, file, path)
    columns = {
        "notice_slug": file.notice,
        "site": file.site,
        "origins": list(file.origins),
        "most_a_day": file.most_a_day,
        "is_open": file.open,
    }
    latest = latest_form(session, controller.id, file.slug)
    if latest is not None and all(getattr(latest, name) == columns[name] for name in columns):
        return FormChange(file.slug, latest.version, changed=False)
    version = 1 if latest is None else latest.version + 1
    session.add(
        SignUpForm(
            controller_id=controller.id,
            slug=file.slug,
            version=version,
            recorded_at=now,
            operator=operator,
            **columns,
        )
    )
    session.flush()
    not_sent = 0 if file.open else _waiting(session, controller.id, file.slug)
    closing = {} if file.open else {"not_sent": not_sent}
    audit_trail.record(
        session,
        now=now,
        operator=operator,
        action="form.add",
        controller_id=controller.id,
        details={"form": file.slug, "version": version, "open": file.open, **closing},
    )
    return FormChange(file.slug, version, changed=True, not_sent=not_sent)


def list_forms(session: Session, slug: str, now: datetime) -> list[Listed]:
    """Return the latest version of each form of the controller, by slug.

    Raises:
        NotFoundError: there is no such controller.
    """
    controller = find_controller(session, slug)
    return [_listed(session, controller, form, now) for form in _latest(session, controller.id)]


def find_form(session: Session, slug: str, form: str) -> SignUpForm:
    """Return the latest version of a form.

    Raises:
        NotFoundError: there is no such controller or form.
    """
    controller = find_controller(session, slug)
    found = latest_form(session, controller.id, form)
    if found is not None:
        return found
    known = [row.slug for row in _latest(session, controller.id)]
    see = f"sender form list --controller {slug}"
    raise unknown(f"form {form} of controller {slug}", form, known, see=see)


def _waiting(session: Session, controller_id: int, slug: str) -> int:
    """Return how many confirmations of the form are due, or will be tried again."""
    query = (
        select(func.count())
        .select_from(SignUp)
        .join(SignUpForm, SignUpForm.id == SignUp.form_id)
        .where(
            SignUpForm.controller_id == controller_id,
            SignUpForm.slug == slug,
            SignUp.due_at.is_not(None),
        )
    )
    return session.scalar(query) or 0


def _listed(session: Session, controller: Controller, form: SignUpForm, now: datetime) -> Listed:
    offered = open_form_of(session, controller, form, now)
    return Listed(
        form=f"{form.slug}@{form.version}",
        notice=form.notice_slug,
        path=f"/s/{controller.slug}/{form.slug}",
        boxes=tuple(box.value for box in offered.boxes) if offered else (),
        is_open=form.is_open,
    )


def _latest(session: Session, controller_id: int) -> Sequence[SignUpForm]:
    query = (
        select(SignUpForm)
        .where(SignUpForm.controller_id == controller_id)
        .order_by(SignUpForm.slug, SignUpForm.version)
    )
    return list({row.slug: row for row in session.scalars(query)}.values())


def _controller(session: Session, file: SignUpFormFile, path: Path) -> Controller:
    try:
        controller = find_controller(session, file.controller)
    except NotFoundError as error:
        raise error_at(path, ("controller",), error.problem, error.remedy) from None
    if latest_notice(session, controller.id, file.notice) is None:
        raise error_at(
            path,
            ("notice",),
            f"controller {file.controller} has no notice {file.notice}.",
            "Record the wording first: sender notice add",
        )
    return controller
