"""An installation with people in it, a provider account at a sink, and a campaign to launch."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import update

from benchmarks.crowd import E_MAIL, TEXTERS, add_people, analyse
from benchmarks.letter import BODY, CONTACT, SMS, SUBJECT, TEXT
from benchmarks.plan_million import empty_database
from benchmarks.ways import Way
from sender.clock import SystemClock
from sender.store.controllers import SenderIdentity
from sender.store.engine import open_store
from sender.store.keys import register_key
from sender.store.migrate import upgrade
from sender.vocabulary import Channel, ProviderName
from tests.support.campaign_folder import environment
from tests.support.factory import HASHER, add_account, add_declaration, establish

SHARE_ALLOWED = 0.7
"""Of the crowd; the others are refused for one of eleven reasons."""


@dataclass(frozen=True)
class Office:
    """A filled installation.

    Attributes:
        variables: the environment under which `sender` works on it.
        campaign: the campaign's file.
        database_url: its database.
    """

    variables: Mapping[str, str]
    campaign: Path
    database_url: str


@contextmanager
def open_office(database: str, way: Way, sink_url: str, messages: int) -> Iterator[Office]:
    """Yield an installation whose campaign reaches about so many people."""
    with empty_database(database) as url, TemporaryDirectory() as name:
        folder = Path(name)
        _fill(url, way, sink_url, round(messages / SHARE_ALLOWED))
        yield Office(environment(folder, url), _write_campaign(folder, way), url)


def _fill(url: str, way: Way, sink_url: str, people: int) -> None:
    upgrade(url)
    store, clock = open_store(url), SystemClock()
    with store.write() as session:
        register_key(session, HASHER, clock.now())
        organisation = establish(session)
        add_declaration(session, organisation.controller)
        account = add_account(
            session, "benchmark", provider=way.provider, options=_account(way, sink_url)
        )
        session.execute(
            update(SenderIdentity)
            .where(SenderIdentity.id == organisation.identities[way.channel].id)
            .values(provider_account_id=account.id)
        )
        add_people(
            session, organisation.controller, [organisation.purpose], people, clock.now(),
            kind=TEXTERS if way.channel is Channel.SMS else E_MAIL, fields=CONTACT,
        )  # fmt: skip
    analyse(store)
    store.close()


def _account(way: Way, sink_url: str) -> dict[str, Any]:
    if way.provider is not ProviderName.SMTP:
        return {**way.options, "endpoint_url": sink_url}
    place = urlsplit(sink_url)
    where = {"host": str(place.hostname), "port": str(place.port)}
    return {**way.options, "options": {**way.options["options"], **where}}


def _write_campaign(folder: Path, way: Way) -> Path:
    keys: dict[str, Any] = {
        "name": "benchmark", "controller": "riverside", "channel": way.channel.value,
        "purpose": "campaign-news", "max_recipients": 5_000_000,
    }  # fmt: skip
    if way.channel is Channel.SMS:
        keys |= {"template": "text.txt"}
        (folder / "text.txt").write_text(SMS, encoding="utf-8")
    else:
        keys |= {"subject": SUBJECT, "template": "body.html", "text_template": "body.txt"}
        (folder / "body.html").write_text(BODY, encoding="utf-8")
        (folder / "body.txt").write_text(TEXT, encoding="utf-8")
    path = folder / "campaign.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in keys.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
