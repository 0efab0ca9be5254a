"""What text messages cost is said in the plan, in check and in preview."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.campaigns.check import check
from sender.campaigns.launch import prepare_launch
from sender.campaigns.plan import Cost
from sender.campaigns.preview import preview
from sender.store.controllers import ProviderAccount
from sender.store.engine import Store
from sender.vocabulary import ProviderName
from tests.fakes.twilio import TwilioFake
from tests.support.campaign_folder import CREDENTIALS, Office, open_office

LONG = "Riverside: " + "the meeting is on Tuesday at seven in the Friends' Hall. " * 4


@pytest.fixture
def office(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with (
        TwilioFake() as twilio,
        open_office(store, tmp_path, twilio=twilio, texters=7) as opened,
    ):
        yield opened


def set_price(office: Office) -> None:
    with office.store.write() as session:
        account = session.scalars(
            select(ProviderAccount).where(ProviderAccount.provider == ProviderName.TWILIO)
        ).one()
        priced = account.options["options"] | {"price_per_part": "0.04", "currency": "GBP"}
        account.options = account.options | {"options": priced}


@pytest.mark.parametrize("dialect", ["sqlite"])
def test_parts_and_cost_over_the_audience(office: Office) -> None:
    office.write("text.txt", LONG)
    definition = office.sms(max_segments=2)
    assert check(office.context, definition).cost is None
    set_price(office)
    expected = Cost(Decimal("0.56"), "GBP")  # seven people, two parts each
    assert check(office.context, definition).cost == expected
    made = preview(office.context, definition)
    assert (made.cost, made.size.segments if made.size else 0) == (expected, 14)
    launch = prepare_launch(office.context, definition)
    assert str(launch.plan.cost) == "0.56 GBP"
    launch.close()
