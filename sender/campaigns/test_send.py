"""Send one clearly marked test, to a confirmed address on the controller's test list only."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.campaigns.accounts import open_account
from sender.campaigns.definition import CampaignDefinition
from sender.campaigns.message import make_renderer
from sender.campaigns.opening import campaign_row, open_run
from sender.campaigns.pinning import pin
from sender.campaigns.resolve import ResolvedCampaign, resolve
from sender.contacts.addresses import find_address_ids
from sender.contacts.normalise import normalise
from sender.context import Context
from sender.delivery.dispatch import Dispatcher
from sender.delivery.pace import Pace
from sender.delivery.progress import Ending
from sender.delivery.runs import cancel, count, get_run, move
from sender.errors import RefusedError
from sender.store.campaigns import StagedRecipient
from sender.store.contacts import TestAddress
from sender.store.deliveries import Delivery
from sender.suppression.journal import require_up_to_date
from sender.suppression.links import opt_out_links
from sender.vocabulary import DeliveryState, RunState


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of a test.

    Attributes:
        run_id: the test's own run.
        ending: how its dispatch ended.
        accepted: whether the provider took the message.
        because: why it was not sent, if it was not: a reason's word, or what the provider said.
    """

    run_id: int
    ending: Ending
    accepted: bool
    because: str


def send_test(
    context: Context,
    definition: CampaignDefinition,
    raw_address: str,
    fields: dict[str, object] | None = None,
) -> TestResult:
    """Send the campaign's message once to a test address, marked as a test.

    Args:
        context: the installation.
        definition: the campaign file.
        raw_address: a confirmed address on the controller's test list.
        fields: template fields of the pretended recipient.

    Raises:
        RefusedError: the address is not on the list or was not confirmed, or the database was
            restored from a backup and is not brought up to date.
        ProviderError: the account cannot be used.
        CampaignFileErrors: the file names something that is not there.
    """
    address = normalise(definition.channel, raw_address)
    links = opt_out_links(context.settings)
    require_up_to_date(context.store, context.clock.now())
    with context.store.read() as session:
        campaign = resolve(session, definition)
        _require_listed(session, context, campaign, address)
    renderer = make_renderer(campaign)
    provider = open_account(campaign.account, context)
    try:
        rate = provider.capacity().rate_per_second
        with context.store.write() as session:
            listed = _require_listed(session, context, campaign, address)
            run_id, version_id = _open(session, context, campaign)
            link_salt = get_run(session, run_id).link_salt
            _add_delivery(session, context, run_id, listed, fields or {})
        dispatcher = Dispatcher(
            store=context.store,
            hasher=context.hasher,
            clock=context.clock,
            provider=provider,
            renderer=renderer,
            opt_out_url=links.of_run(link_salt),
            run_id=run_id,
            version_id=version_id,
            operator=context.operator,
            pace=Pace(context.store, context.clock, f"account:{campaign.account.id}", rate),
        )
        return _result(context, run_id, dispatcher.run())
    finally:
        provider.close()


def _result(context: Context, run_id: int, ending: Ending) -> TestResult:
    """Say what became of the test; one that was not sent is given up, never resumed."""
    with context.store.write() as session:
        run = get_run(session, run_id)
        stopped_because = run.stopped_because
        if run.state.is_open:
            cancel(session, run_id, now=context.clock.now(), operator=context.operator)
        counts = count(session, run_id)
        because = stopped_because or next((rule.value for rule in counts.by_reason), "")
        return TestResult(run_id, ending, counts.handed_over == 1, because)


def _require_listed(
    session: Session, context: Context, campaign: ResolvedCampaign, address: str
) -> TestAddress:
    ids = find_address_ids(session, context.hasher, campaign.definition.channel, [address])
    listed = session.scalar(
        select(TestAddress).where(
            TestAddress.controller_id == campaign.own.controller_id,
            TestAddress.address_id == ids.get(address),
        )
    )
    if listed is None or listed.verified_at is None:
        slug = campaign.own.slug
        state = "is not on the test list" if listed is None else "has not been confirmed"
        command = "add" if listed is None else "confirm"
        raise RefusedError(
            f"This address {state} of {slug}.",
            remedy=f"Run: sender controller test-address {command} {slug} ADDRESS",
        )
    return listed


def _open(session: Session, context: Context, campaign: ResolvedCampaign) -> tuple[int, int]:
    now = context.clock.now()
    row = campaign_row(session, campaign, now)
    version = pin(session, row, campaign.definition, now=now, operator=context.operator)
    run_id = open_run(session, context, campaign, row, version, exclude_sent=False, is_test=True)
    run = get_run(session, run_id, lock=True)
    move(session, run, RunState.READY, now=now, operator=context.operator)
    return run_id, version.id


def _add_delivery(
    session: Session, context: Context, run_id: int, listed: TestAddress, fields: dict[str, object]
) -> None:
    staged = StagedRecipient(
        run_id=run_id,
        address_id=listed.address_id,
        address=listed.address,
        attributes=dict(fields),
        erase_after=context.clock.now(),
    )
    session.add(staged)
    session.flush()
    session.add(
        Delivery(
            run_id=run_id,
            address_id=listed.address_id,
            staged_recipient_id=staged.id,
            state=DeliveryState.PENDING,
        )
    )
