"""Find in the database what a campaign file names; offer the nearest name, guess nothing."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.definition import CampaignDefinition
from sender.contacts.filter import nearest
from sender.controllers.lookup import current_version, latest_freeze
from sender.store.consents import Purpose
from sender.store.controllers import (
    Controller,
    ControllerVersion,
    ProviderAccount,
    SenderIdentity,
)
from sender.toml.lines import TomlKey
from sender.toml.source import FileErrors, TomlSource


@dataclass(frozen=True, slots=True)
class ResolvedBody:
    """A controller as a campaign refers to it, at its current version."""

    controller_id: int
    slug: str
    version: ControllerVersion
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class ResolvedCampaign:
    """A campaign file with everything that it names.

    Attributes:
        definition: the file.
        own: the controller that instigates.
        bodies: those named in `on_behalf_of`, in order.
        identity: the sender identity that it goes out under.
        account: the provider account of that identity.
    """

    definition: CampaignDefinition
    own: ResolvedBody
    bodies: tuple[ResolvedBody, ...]
    identity: SenderIdentity
    account: ProviderAccount


def resolve(
    session: Session, definition: CampaignDefinition, *, of_the_past: bool = False
) -> ResolvedCampaign:
    """Find the controller, purpose, bodies, identity and account.

    Args:
        session: of the database.
        definition: the campaign file.
        of_the_past: nothing is to be sent: what a later freeze forbids is found all the same.

    Raises:
        FileErrors: everything that was not found, with file, line, key and remedy; a body that is
            frozen, or a renewal for a controller that is (guidance ¶84-86).
    """
    finder = _Finder(session, definition, of_the_past=of_the_past)
    own = finder.body(definition.controller, ("controller",))
    bodies = [
        finder.body(slug, ("on_behalf_of", place))
        for place, slug in enumerate(definition.on_behalf_of)
    ]
    identity = finder.identity(own) if own else None
    finder.source.raise_if_refused()
    assert own is not None
    assert identity is not None
    account = session.get_one(ProviderAccount, identity.provider_account_id)
    return ResolvedCampaign(
        definition, own, tuple(body for body in bodies if body), identity, account
    )


class _Finder:
    """Looks things up and collects what is missing, each with its line in the file."""

    def __init__(
        self, session: Session, definition: CampaignDefinition, *, of_the_past: bool
    ) -> None:
        self.session, self.definition, self.of_the_past = session, definition, of_the_past
        self.source = TomlSource(definition.files.text, Path(definition.files.name))

    def body(self, slug: str, key: TomlKey) -> ResolvedBody | None:
        controller = self.session.scalar(select(Controller).where(Controller.slug == slug))
        if controller is None:
            known = self.session.scalars(select(Controller.slug)).all()
            remedy = _did_you_mean(slug, known) or "Add it with: sender controller add FILE.toml"
            self.source.refuse(key, f"there is no controller {slug!r}.", remedy)
            return None
        self._require_free(controller, key)
        purpose = self._purpose(controller, key)
        if purpose is None:
            return None
        version = current_version(self.session, controller.id)
        return ResolvedBody(controller.id, slug, version, purpose)

    def _require_free(self, controller: Controller, key: TomlKey) -> None:
        """Refuse to speak for a frozen body, and to renew what was agreed to a frozen controller.

        Its other campaigns go to whoever has agreed since, person by person.
        """
        if self.of_the_past or latest_freeze(self.session, controller.id) is None:
            return
        slug = controller.slug
        if key != ("controller",):
            self.source.refuse(
                key,
                f"{slug} is frozen; nothing is sent on its behalf (guidance ¶84-86).",
                "Leave it out.",
            )
        elif self.definition.audience.expiring_within is not None:
            self.source.refuse(
                ("audience", "expiring_within"),
                f"asks people to renew their consent, and {slug} is frozen: what they agreed to "
                "before is not renewed (guidance ¶84-86).",
                "Nobody is asked in bulk. Each may agree anew, under a notice first shown since.",
            )

    def identity(self, own: ResolvedBody) -> SenderIdentity | None:
        wanted, channel = self.definition.sender, self.definition.channel
        usable = self.session.scalars(
            select(SenderIdentity)
            .where(
                SenderIdentity.controller_id == own.controller_id,
                SenderIdentity.channel == channel,
                SenderIdentity.retired_at.is_(None),
            )
            .order_by(SenderIdentity.name)
        ).all()
        if wanted is None and len(usable) == 1:
            return usable[0]
        chosen = next((identity for identity in usable if identity.name == wanted), None)
        if chosen is None:
            self._refuse_identity(own, [identity.name for identity in usable])
        return chosen

    def _purpose(self, controller: Controller, key: TomlKey) -> Purpose | None:
        slug = self.definition.purpose
        mine = Purpose.controller_id == controller.id
        found = self.session.scalar(select(Purpose).where(mine, Purpose.slug == slug))
        if found is None:
            known = self.session.scalars(select(Purpose.slug).where(mine)).all()
            remedy = _did_you_mean(slug, known) or "Add it to the controller's file and update it."
            blamed = ("purpose",) if key == ("controller",) else key
            self.source.refuse(blamed, f"{controller.slug} has no purpose {slug!r}.", remedy)
        return found

    def _refuse_identity(self, own: ResolvedBody, names: Sequence[str]) -> None:
        channel = self.definition.channel.value
        if not names:
            problem = f"{own.slug} has no sender identity for {channel} to name itself with."
            remedy = "Add an [[identity]] to the controller's file and update it (guidance ¶51)."
        elif self.definition.sender is None:
            problem = f"{own.slug} has several sender identities for {channel}."
            remedy = f"Choose one with `sender`: {', '.join(names)}."
        else:
            problem = f"{own.slug} has no sender identity {self.definition.sender!r}."
            remedy = f"There are: {', '.join(names)}."
        self.source.refuse(("sender",), problem, remedy)


def _did_you_mean(name: str, known: Collection[str]) -> str:
    found = nearest(name, known)
    return f"Did you mean {found}?" if found else ""


def file_error(
    definition: CampaignDefinition, key: TomlKey, problem: str, remedy: str = ""
) -> FileErrors:
    """Return the refusal of what stands at `key` of a campaign file, with its line."""
    source = TomlSource(definition.files.text, Path(definition.files.name))
    source.refuse(key, problem, remedy)
    try:
        source.raise_if_refused()
    except FileErrors as error:
        return error
    raise AssertionError("a refusal was recorded")
