"""Write a controller file into the database: everything is versioned, nothing is taken away.

What a file no longer names stays: identities are retired (a STOP to an old number must still find
its controller), purposes and freshness policies are kept as they are. Sending hours, frequency
caps, brake and retention are as the file says, and the defaults where it says nothing; earlier ones
stay on record.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.controllers.file import ControllerFile, IdentityEntry
from sender.controllers.lookup import (
    current_version,
    find_controller,
    freshness_rows,
    identities,
    purposes,
)
from sender.controllers.retention_policy import latest_years
from sender.controllers.sending_policy import SendingPolicy, latest_row, policy_of
from sender.errors import FileError, RefusedError
from sender.store import audit_trail
from sender.store.consents import Purpose
from sender.store.controllers import (
    Controller,
    ControllerVersion,
    FreshnessPolicy,
    ProviderAccount,
    RetentionPolicy,
    SenderIdentity,
)
from sender.store.controllers import SendingPolicy as SendingPolicyRow
from sender.toml.lines import TomlKey
from sender.toml.model import error_at

VERSION_COLUMNS = (
    "name", "kind", "postal_address", "contact_email", "contact_phone", "website",
    "privacy_notice_url", "time_zone", "brand_colour",
)  # fmt: skip
IDENTITY_COLUMNS = ("address", "display_name", "reply_to", "opt_out_style")


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a controller file.

    Attributes:
        slug: the controller.
        version: its version now.
        done: what was added, changed or retired, one sentence each; empty if nothing.
        kept: what the file no longer names and stays all the same.
        shared_accounts: changed accounts by which other controllers send too.
    """

    slug: str
    version: int
    done: tuple[str, ...]
    kept: tuple[str, ...]
    shared_accounts: tuple[str, ...] = ()


def add_controller(
    session: Session, file: ControllerFile, path: Path, *, operator: str, now: datetime
) -> Change:
    """Add a controller that is new.

    Raises:
        RefusedError: it is there already.
        FileError: the file names an account or a purpose that is nowhere.
    """
    if session.scalar(select(Controller.id).where(Controller.slug == file.slug)) is not None:
        raise RefusedError(
            f"Controller {file.slug} is there already.",
            remedy=f"To change it: sender controller update {path}",
        )
    controller = Controller(slug=file.slug, created_at=now)
    session.add(controller)
    session.flush()
    return _Writer(session, controller, file, path, operator, now).write("controller.add")


def update_controller(
    session: Session, file: ControllerFile, path: Path, *, operator: str, now: datetime
) -> Change:
    """Bring a controller to what the file says.

    Raises:
        NotFoundError: there is no such controller.
        FileError: the file names an account or a purpose that is nowhere.
    """
    controller = find_controller(session, file.slug)
    return _Writer(session, controller, file, path, operator, now).write("controller.update")


@dataclass(slots=True)
class _Writer:
    session: Session
    controller: Controller
    file: ControllerFile
    path: Path
    operator: str
    now: datetime
    done: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    shared_accounts: list[str] = field(default_factory=list)

    def write(self, action: str) -> Change:
        version = self._write_version()
        self._write_purposes()
        self._write_accounts()
        self._write_identities()
        self._write_freshness()
        self._write_sending_policy()
        self._write_retention()
        self.session.flush()
        if self.done:
            audit_trail.record(
                self.session,
                now=self.now,
                operator=self.operator,
                action=action,
                controller_id=self.controller.id,
                details={"version": version, "done": self.done, "file": self.path.name},
            )
        return Change(
            self.file.slug,
            version,
            tuple(self.done),
            tuple(self.kept),
            tuple(self.shared_accounts),
        )

    def _write_version(self) -> int:
        columns = self._version_columns()
        number = 1
        if self._has_version():
            current = current_version(self.session, self.controller.id)
            changed = [name for name in columns if getattr(current, name) != columns[name]]
            if not changed:
                return current.version
            number = current.version + 1
            self.done.append(f"Version {number}: {', '.join(changed)} changed.")
        else:
            self.done.append("Controller added.")
        row = ControllerVersion(
            controller_id=self.controller.id,
            version=number,
            recorded_at=self.now,
            operator=self.operator,
            **columns,
        )
        self.session.add(row)
        return number

    def _has_version(self) -> bool:
        query = select(ControllerVersion.id).where(
            ControllerVersion.controller_id == self.controller.id
        )
        return self.session.scalar(query.limit(1)) is not None

    def _version_columns(self) -> dict[str, Any]:
        imprint = self.file.imprint
        return {
            **{name: getattr(self.file, name) for name in VERSION_COLUMNS},
            "promoter_name": imprint and imprint.promoter_name,
            "promoter_address": imprint and imprint.promoter_address,
            "relatives": list(self.file.relatives),
        }

    def _write_purposes(self) -> None:
        known = {row.slug: row for row in purposes(self.session, self.controller.id)}
        for entry in self.file.purposes:
            row = known.pop(entry.slug, None)
            if row is None:
                self.session.add(
                    Purpose(
                        controller_id=self.controller.id,
                        slug=entry.slug,
                        title=entry.title,
                        created_at=self.now,
                    )
                )
                self.done.append(f"Purpose {entry.slug} added.")
            elif row.title != entry.title:
                row.title = entry.title
                self.done.append(f"Purpose {entry.slug}: title changed.")
        self.kept.extend(f"Purpose {slug} is not in the file, and stays." for slug in known)
        self.session.flush()

    def _write_accounts(self) -> None:
        for place, entry in enumerate(self.file.accounts):
            row = self._account(entry.name)
            if row is None:
                self.session.add(
                    ProviderAccount(
                        name=entry.name,
                        provider=entry.provider,
                        options=entry.stored(),
                        recorded_at=self.now,
                    )
                )
                self.done.append(f"Provider account {entry.name} ({entry.provider}) added.")
            elif row.provider is not entry.provider:
                raise self._refused(
                    ("account", place, "provider"),
                    f"account {entry.name} is there already, with the provider {row.provider}.",
                    "Give this one another name.",
                )
            elif row.options != entry.stored():
                row.options = entry.stored()
                self.done.append(f"Provider account {entry.name} changed, for all who use it.")
                if self._is_anybody_elses(row):
                    self.shared_accounts.append(entry.name)
        self.session.flush()

    def _is_anybody_elses(self, account: ProviderAccount) -> bool:
        others = select(SenderIdentity.id).where(
            SenderIdentity.provider_account_id == account.id,
            SenderIdentity.controller_id != self.controller.id,
        )
        return self.session.scalar(others.limit(1)) is not None

    def _account(self, name: str) -> ProviderAccount | None:
        return self.session.scalar(select(ProviderAccount).where(ProviderAccount.name == name))

    def _write_identities(self) -> None:
        in_use = {
            (row.channel, row.name): row for row in identities(self.session, self.controller.id)
        }
        for place, entry in enumerate(self.file.identities):
            columns = self._identity_columns(entry, place)
            row = in_use.pop((entry.channel, entry.name), None)
            label = f"Sender identity {entry.name} ({entry.channel})"
            if row is not None and all(getattr(row, name) == columns[name] for name in columns):
                continue
            if row is not None:
                row.retired_at = self.now
            self.session.add(SenderIdentity(**columns, recorded_at=self.now, retired_at=None))
            self.done.append(f"{label} {'changed; the old one is retired' if row else 'added'}.")
        for row in in_use.values():
            row.retired_at = self.now
            self.done.append(f"Sender identity {row.name} ({row.channel}) retired.")

    def _identity_columns(self, entry: IdentityEntry, place: int) -> dict[str, Any]:
        account = self._account(entry.account)
        if account is None:
            raise self._refused(
                ("identity", place, "account"),
                f"there is no provider account {entry.account}.",
                "Describe it under [[account]] in this file.",
            )
        return {
            "controller_id": self.controller.id,
            "provider_account_id": account.id,
            "channel": entry.channel,
            "name": entry.name,
            **{name: getattr(entry, name) for name in IDENTITY_COLUMNS},
        }

    def _write_freshness(self) -> None:
        purpose_ids = {row.slug: row.id for row in purposes(self.session, self.controller.id)}
        slugs = {row_id: slug for slug, row_id in purpose_ids.items()}
        in_force = {
            (row.channel, row.purpose_id): row
            for row in freshness_rows(self.session, self.controller.id)
        }
        for place, entry in enumerate(self.file.freshness):
            if entry.purpose is not None and entry.purpose not in purpose_ids:
                raise self._refused(
                    ("freshness", place, "purpose"),
                    f"there is no purpose {entry.purpose}.",
                    f"Purposes: {', '.join(sorted(purpose_ids)) or 'none yet'}.",
                )
            purpose_id = purpose_ids.get(entry.purpose or "")
            row = in_force.pop((entry.channel, purpose_id), None)
            months = (entry.warn_months, entry.hold_months)
            if row is not None and (row.warn_months, row.hold_months) == months:
                continue
            self.session.add(
                FreshnessPolicy(
                    controller_id=self.controller.id,
                    channel=entry.channel,
                    purpose_id=purpose_id,
                    warn_months=entry.warn_months,
                    hold_months=entry.hold_months,
                    recorded_at=self.now,
                    operator=self.operator,
                )
            )
            subject = f"{entry.channel or 'all channels'}, {entry.purpose or 'all purposes'}"
            self.done.append(f"Freshness of {subject}: warn {months[0]}, hold {months[1]} months.")
        for channel, purpose_id in in_force:
            subject = f"{channel or 'all channels'}, {slugs.get(purpose_id or 0, 'all purposes')}"
            self.kept.append(f"Freshness of {subject} is not in the file, and stays.")

    def _write_sending_policy(self) -> None:
        before = latest_row(self.session, self.controller.id)
        columns = self.file.policy_columns()
        if columns == {name: getattr(before, name, None) for name in columns}:
            return
        row = SendingPolicyRow(
            controller_id=self.controller.id,
            recorded_at=self.now,
            operator=self.operator,
            **columns,
        )
        self.session.add(row)
        was = policy_of(before).sentences() if before else SendingPolicy().sentences()
        changed = [one for one in policy_of(row).sentences() if one not in was]
        self.done.extend(changed or ["Sending policy: said otherwise, with the same meaning."])

    def _write_retention(self) -> None:
        said = self.file.retention
        years = None if said is None else said.limitation_years
        if years == latest_years(self.session, self.controller.id):
            return
        row = RetentionPolicy(
            controller_id=self.controller.id,
            limitation_years=years,
            recorded_at=self.now,
            operator=self.operator,
        )
        self.session.add(row)
        kept = "as long as the installation says" if years is None else f"{years} years"
        self.done.append(f"Retention: what shows why messages were sent is kept {kept}.")

    def _refused(self, key: TomlKey, problem: str, remedy: str) -> FileError:
        return error_at(self.path, key, problem, remedy)
