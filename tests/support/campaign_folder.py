"""A campaign folder and an office that can launch from it: people, accounts and the fakes' ends.

with open_office(store, tmp_path, ses=fake, people=20) as office:
    launch = prepare_launch(office.context, office.email())
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from sender.campaigns.definition import CampaignDefinition, load_campaign
from sender.campaigns.launch import Launch, prepare_launch, prepare_resume
from sender.clock import Clock, SystemClock
from sender.consent.ledger import ConsentAct, record
from sender.contacts.addresses import ensure_address_ids
from sender.context import Context
from sender.delivery import dispatch
from sender.delivery.progress import Ending
from sender.delivery.runs import Counts, count
from sender.settings import Settings
from sender.store.campaigns import Run
from sender.store.contacts import Contact, ContactPoint
from sender.store.controllers import ProviderAccount, SenderIdentity
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.store.keys import register_key
from sender.vocabulary import Channel, ConsentKind, ContactSource, ProviderName, RunState
from tests.fakes.loop import LoopServer
from tests.fakes.ses import SesFake
from tests.fakes.twilio import TwilioFake
from tests.support.factory import (
    HASH_KEY,
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_account,
    add_declaration,
    establish,
)

TWILIO_ACCOUNT = "AC" + "0" * 32
OFFICE_JOURNAL = "opt-outs.journal"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrEXAMPLE",
    "AWS_REGION": "eu-west-2",
    "TWILIO_ACCOUNT_SID": TWILIO_ACCOUNT,
    "TWILIO_AUTH_TOKEN": "tokenEXAMPLE",
}
ANY_TIME = '[window]\nfrom = "00:00"\nto = "24:00"\n'
"""Sending hours that let a test run at any time of day."""

USUAL_HOURS = "# without a [window] the controller's hours hold"

LETTER = "<p>Dear {{ recipient.first_name | default('friend') }}, come along on Saturday.</p>\n"
TEXT = "{{ sender_name }}: come along on Saturday.\n"

_CHANNEL_KEYS: dict[Channel, dict[str, Any]] = {
    Channel.EMAIL: {"subject": "Come along", "template": "letter.html"},
    Channel.SMS: {"template": "text.txt"},
}


def environment(folder: Path, database_url: str) -> dict[str, str]:
    """Return the variables under which `sender` works on this database and folder."""
    return {
        "SENDER_DATABASE_URL": database_url,
        "SENDER_HASH_KEY": HASH_KEY.hex(),
        "SENDER_TOKEN_KEYS": "1:" + "cd" * 32,
        "SENDER_PUBLIC_URL": "https://out.example.org",
        "SENDER_OUTBOX": str(folder / "outbox"),
        "SENDER_JOURNAL": str(folder / OFFICE_JOURNAL),
        "SENDER_OPERATOR": OPERATOR,
        "SENDER_PROVIDER_TIMEOUT_SECONDS": "5",
        **CREDENTIALS,
    }


def settings_for(folder: Path, **changed: Any) -> Settings:
    """Return the settings of an office whose files lie in `folder`."""
    values: dict[str, Any] = {
        "hash_key": SecretStr(HASH_KEY.hex()),
        "token_keys": SecretStr("1:" + "cd" * 32),
        "public_url": "https://out.example.org",
        "outbox": folder / "outbox",
        "journal": str(folder / OFFICE_JOURNAL),
        "operator": OPERATOR,
        "provider_timeout_seconds": 5.0,
    }
    return Settings(**{**values, **changed})


@dataclass
class Office:
    """One controller with people, who launches campaigns from a folder of files.

    Attributes:
        context: the installation.
        folder: of the campaign files.
        organisation: the controller.
        addresses: of the people, by channel, in order of their address ids.
        ids: the ledger's id of each address.
    """

    context: Context
    folder: Path
    organisation: Organisation
    addresses: dict[Channel, list[str]] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.context.store

    def write(self, name: str, text: str) -> Path:
        """Put a file into the folder."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def file(self, channel: Channel = Channel.EMAIL, more: str = "", **changed: Any) -> Path:
        """Write the campaign file; None takes a key out, `more` is added at the end."""
        for name, text in (("letter.html", LETTER), ("text.txt", TEXT)):
            if not (self.folder / name).exists():
                self.write(name, text)
        return self.write("campaign.toml", campaign_toml(channel, more, **changed))

    def email(self, more: str = "", **changed: Any) -> CampaignDefinition:
        """Write and read an e-mail campaign."""
        return load_campaign(self.file(Channel.EMAIL, more, **changed))

    def sms(self, more: str = "", **changed: Any) -> CampaignDefinition:
        """Write and read an SMS campaign."""
        return load_campaign(self.file(Channel.SMS, more, **changed))

    def one_call_at_a_time(self) -> None:
        """Let SES take one batch after the other, so that a test can step in between exactly."""
        dispatch.UNDER_WAY = 1
        with self.store.write() as session:
            account = session.scalars(
                select(ProviderAccount).where(ProviderAccount.provider == ProviderName.SES)
            ).one()
            account.options = account.options | {"concurrency": 1}

    def launch(
        self, definition: CampaignDefinition, *, new_run: bool = False
    ) -> tuple[int, Ending]:
        """Launch with a yes; return the run and how its dispatch ended."""
        return carry_out(prepare_launch(self.context, definition, new_run=new_run))

    def resume(self, run_id: int) -> Ending:
        """Carry a run on with a yes."""
        return carry_out(prepare_resume(self.context, run_id))[1]

    def counts(self, run_id: int) -> Counts:
        """Count the run's people."""
        with self.store.read() as session:
            return count(session, run_id)

    def run(self, run_id: int) -> Run:
        """Return the run as it is now."""
        with self.store.read() as session:
            return session.get_one(Run, run_id)

    def open_runs(self) -> list[RunState]:
        """Return the states of all runs that may still send."""
        with self.store.read() as session:
            return [state for state in session.scalars(select(Run.state)) if state.is_open]

    def deliveries(self) -> int:
        """Return how many deliveries there are at all."""
        with self.store.read() as session:
            return session.scalar(select(func.count()).select_from(Delivery)) or 0

    def add_people(self, channel: Channel, number: int, *, organisation: Organisation | None = None,
                   prefix: str = "person", **contact: Any) -> list[str]:  # fmt: skip
        """Add people who agreed a month ago; return their addresses."""
        whose = organisation or self.organisation
        addresses = [_address(channel, prefix, place) for place in range(number)]
        now = self.context.clock.now()
        with self.store.write() as session:
            self.ids |= _add_people(session, whose, channel, addresses, now, **contact)
        self.addresses.setdefault(channel, []).extend(sorted(addresses, key=self.ids.__getitem__))
        return addresses


def carry_out(launch: Launch) -> tuple[int, Ending]:
    """Say yes, send, close."""
    try:
        launch.confirm()
        return launch.run_id, launch.dispatch()
    finally:
        launch.close()


def campaign_toml(channel: Channel, more: str = "", **changed: Any) -> str:
    """Return a campaign file: a key a line, then `more`; sent at any hour unless that says when."""
    keys: dict[str, Any] = {
        "name": "spring",
        "controller": "riverside",
        "channel": channel.value,
        "purpose": "campaign-news",
        "max_recipients": 100_000,
        **_CHANNEL_KEYS[channel],
        **changed,
    }
    lines = [f"{key} = {_toml(value)}" for key, value in keys.items() if value is not None]
    window = "" if "[window]" in more else ANY_TIME
    return "\n".join([*lines, more, window]) + "\n"


def _toml(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else json.dumps(value)


@contextmanager
def open_office(
    store: Store,
    folder: Path,
    *,
    ses: SesFake | None = None,
    twilio: TwilioFake | None = None,
    people: int = 0,
    texters: int = 0,
    clock: Clock | None = None,
    declared: bool = True,
) -> Iterator[Office]:
    """Open an office whose e-mail goes to `ses` and SMS to `twilio`, or else into the outbox.

    Args:
        store: a fresh, migrated database.
        folder: for campaign files and the outbox.
        ses: takes the e-mail.
        twilio: takes the SMS.
        people: with an e-mail address.
        texters: with a mobile number.
        clock: the time.
        declared: whether somebody said what became of the old system's opt-outs.
    """
    clock = clock or SystemClock()
    settings = settings_for(folder)
    context = Context(settings, store, HASHER, clock, OPERATOR)
    with store.write() as session:
        register_key(session, HASHER, clock.now())
        organisation = establish(session, "riverside")
        if declared:
            add_declaration(session, organisation.controller)
        use_fakes(session, organisation, ses=ses, twilio=twilio)
    office = Office(context, folder, organisation)
    office.add_people(Channel.EMAIL, people)
    office.add_people(Channel.SMS, texters)
    yield office


def use_fakes(
    session: Session,
    organisation: Organisation,
    *,
    ses: LoopServer | str | None = None,
    twilio: LoopServer | str | None = None,
) -> None:
    """Let the organisation's identities go out through accounts at these fakes."""
    for channel, fake, provider in (
        (Channel.EMAIL, ses, ProviderName.SES),
        (Channel.SMS, twilio, ProviderName.TWILIO),
    ):
        if fake is None:
            continue
        options = {
            "endpoint_url": fake if isinstance(fake, str) else fake.url,
            "rate_per_second": 5_000,
            "concurrency": 2,
        }
        if channel is Channel.SMS:
            options["options"] = {"status_callback_url": "https://out.example.org/twilio"}
        account = add_account(session, provider.value, provider=provider, options=options)
        session.execute(
            update(SenderIdentity)
            .where(SenderIdentity.id == organisation.identities[channel].id)
            .values(provider_account_id=account.id)
        )


def _address(channel: Channel, prefix: str, place: int) -> str:
    if channel is Channel.EMAIL:
        return f"{prefix}{place}@example.org"
    return f"{prefix if prefix.startswith('+') else '+4477009'}{place:05d}"


def _add_people(
    session: Session,
    organisation: Organisation,
    channel: Channel,
    addresses: Sequence[str],
    now: datetime,
    **columns: Any,
) -> dict[str, int]:
    ids = ensure_address_ids(session, HASHER, channel, addresses)
    defaults = {"source": ContactSource.DIRECT, "attributes": {}}
    contacts = [
        Contact(
            controller_id=organisation.id,
            created_at=NOW,
            updated_at=NOW,
            **{**defaults, "first_name": f"Pat{place}", "external_ref": address, **columns},
        )
        for place, address in enumerate(addresses)
    ]
    session.add_all(contacts)
    session.flush()
    session.add_all(
        ContactPoint(
            controller_id=organisation.id,
            contact_id=contact.id,
            channel=channel,
            address_id=ids[address],
            address=address,
            created_at=NOW,
        )
        for contact, address in zip(contacts, addresses, strict=True)
    )
    agree(session, organisation, ids.values(), now)
    return ids


def agree(session: Session, organisation: Organisation, address_ids: Any, now: datetime) -> None:
    """Record that these addresses agreed to the organisation's purpose a month ago."""
    acts = [
        ConsentAct(
            controller_id=organisation.id,
            purpose_id=organisation.purpose.id,
            address_id=address_id,
            kind=ConsentKind.GIVEN,
            occurred_at=now - timedelta(days=30),
            method="web-form",
            source="https://example.org/sign-up",
            operator=OPERATOR,
            notice_id=organisation.notice.id,
        )
        for address_id in address_ids
    ]
    record(session, acts, now)


def written_to(ses: SesFake) -> Counter[str]:
    """Return how many messages the fake took for each address."""
    return Counter(address for one in ses.messages for address in one.message["to"])


def on_bulk_call(ses: SesFake, number: int, act: Callable[[], None]) -> None:
    """Do something when the `number`-th bulk call comes in, before the fake takes it."""
    seen = sum(request.path.endswith("outbound-bulk-emails") for request in ses.requests)

    def watch() -> None:
        nonlocal seen
        if ses.requests[-1].path.endswith("outbound-bulk-emails"):
            seen += 1
            if seen == number:
                act()

    ses.on_request = watch
