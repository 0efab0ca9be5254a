"""A run ready to be dispatched through the real SES SDK to the local fake."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sender.campaigns.message import CampaignRenderer
from sender.clock import Clock, SystemClock
from sender.delivery.audience import ContactAudience
from sender.delivery.dispatch import Dispatcher
from sender.delivery.pace import Pace
from sender.delivery.planning import plan
from sender.delivery.progress import Ending
from sender.delivery.runs import Counts, count, get_run, move
from sender.providers.account import AccountSettings
from sender.providers.base import BatchResult, Outgoing, Provider
from sender.providers.registry import open_provider
from sender.rendering.email_renderer import EmailRenderer
from sender.rendering.profile import EmailIdentity, SenderProfile
from sender.rendering.text import CampaignText, TemplateSource
from sender.resources import resource_folder
from sender.store.contacts import ContactPoint
from sender.store.deliveries import Delivery
from sender.store.engine import Store
from sender.suppression.tokens import TokenKeys
from sender.vocabulary import Channel, ControllerKind, ProviderName, RunState
from tests.fakes.ses import SesFake
from tests.support.factory import (
    HASHER,
    NOW,
    OPERATOR,
    Organisation,
    add_campaign,
    add_contact,
    add_point,
    add_run,
    establish,
    record_consent,
)

ENVIRON = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrEXAMPLE",
    "AWS_REGION": "eu-west-2",
}
TOKENS = TokenKeys.parse("1:" + "ab" * 32)


def opt_out_url(delivery_id: int) -> str:
    return f"https://out.example.org/u/{TOKENS.make(delivery_id, None)}"


def make_renderer(
    html: str = "<p>Dear {{ recipient.first_name | default('friend') }}</p>",
) -> CampaignRenderer:
    layout = resource_folder("templates") / "layouts" / "standard.html"
    text = CampaignText(
        campaign_name="spring-appeal",
        subject="News",
        html=TemplateSource("spring.html", html),
        layout=TemplateSource("standard.html", layout.read_text(encoding="utf-8")),
    )
    profile = SenderProfile(
        slug="riverside",
        name="Riverside Association",
        kind=ControllerKind.ASSOCIATION,
        postal_address="1 High Street, Riverside RV1 1AA",
        contact_email="office@riverside.example.org",
        contact_phone=None,
        website=None,
        privacy_notice_url="https://riverside.example.org/privacy",
        promoter_name="Pat Promoter",
        promoter_address="2 High Street, Riverside RV1 1AA",
    )
    identity = EmailIdentity("news@riverside.example.org", "Riverside")
    renderer = EmailRenderer(text, profile, identity, list_id="news.riverside.example.org")
    return CampaignRenderer(frozenset({"first_name"}), renderer)


@dataclass
class Watched:
    """A real provider; `before` runs before each call, as the world outside would act."""

    inner: Provider
    before: Callable[[list[Outgoing]], None] = lambda _batch: None
    after: Callable[[BatchResult], None] = lambda _answer: None

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def send(self, batch: list[Outgoing], start_before: float) -> BatchResult:
        self.before(batch)
        answer = self.inner.send(batch, start_before)
        self.after(answer)
        return answer


class OneByOne(Pace):
    """Lets one message go at a time, so that a test can step in between."""

    def most_at_once(self, limit: int, *, in_one_call: bool) -> int:
        del in_one_call
        return min(1, limit)


@dataclass
class World:
    """One organisation, its people, a run, and the fake at the other end."""

    store: Store
    fake: SesFake
    clock: Clock
    organisation: Organisation
    run_id: int
    version_id: int
    points: list[ContactPoint] = field(default_factory=list)

    def plan(self) -> Counts:
        audience = ContactAudience(self.organisation.id, Channel.EMAIL)
        for _ in plan(self.store, self.clock, self.run_id, audience):
            pass
        with self.store.write() as session:
            run = get_run(session, self.run_id)
            if run.state is RunState.PLANNING:
                move(session, run, RunState.READY, now=self.clock.now(), operator=OPERATOR)
            return count(session, self.run_id)

    @contextmanager
    def provider(self, *, timeout: float = 5.0, mode: str = "bulk") -> Iterator[Watched]:
        settings = AccountSettings(
            name="ses", provider=ProviderName.SES, region="eu-west-2", endpoint_url=self.fake.url,
            concurrency=2, options={"mode": mode} if mode == "single" else {},
        )  # fmt: skip
        inner = open_provider(settings, ENVIRON, self.clock, timedelta(seconds=timeout))
        try:
            yield Watched(inner)
        finally:
            inner.close()

    def dispatcher(
        self,
        provider: Watched,
        *,
        one_by_one: bool = False,
        renderer: CampaignRenderer | None = None,
    ) -> Dispatcher:
        return Dispatcher(
            store=self.store,
            hasher=HASHER,
            clock=self.clock,
            provider=provider,  # type: ignore[arg-type]  # it hands everything on
            renderer=renderer or make_renderer(),
            opt_out_url=opt_out_url,
            run_id=self.run_id,
            version_id=self.version_id,
            operator=OPERATOR,
            pace=(OneByOne if one_by_one else Pace)(self.store, self.clock, "account:1", 100_000),
        )

    def dispatch(self) -> Ending:
        with self.provider() as provider:
            return self.dispatcher(provider).run()

    def dispatch_again(self) -> Ending:
        """Carry on as `resume` does."""
        with self.store.write() as session:
            run = get_run(session, self.run_id)
            move(session, run, RunState.READY, now=self.clock.now(), operator=OPERATOR)
        return self.dispatch()

    def counts(self) -> Counts:
        with self.store.read() as session:
            return count(session, self.run_id)

    def delivery_of(self, session: Session, point: ContactPoint) -> Delivery:
        return session.scalars(
            select(Delivery).where(
                Delivery.run_id == self.run_id, Delivery.address_id == point.address_id
            )
        ).one()

    def ledger_total(self) -> int:
        with self.store.read() as session:
            found = session.scalar(
                select(func.count()).select_from(Delivery).where(Delivery.run_id == self.run_id)
            )
            return found or 0


def build_world(store: Store, fake: SesFake, *, people: int, clock: Clock | None = None) -> World:
    """Make a world of consenting people."""
    clock = clock or SystemClock()
    agreed_at = clock.now() - timedelta(days=30)
    with store.write() as session:
        organisation = establish(session, "riverside")
        _, version = add_campaign(session, organisation.controller)
        run = add_run(session, organisation, version)
        world = World(store, fake, clock, organisation, run.id, version.id)
        for number in range(people):
            contact = add_contact(session, organisation.controller, first_name=f"Pat{number}")
            point = add_point(session, contact)
            record_consent(
                session, organisation, point.address_id, occurred_at=agreed_at, now=clock.now()
            )
            world.points.append(point)
    assert clock.now() > NOW
    return world
