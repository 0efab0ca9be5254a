"""Recipients pulled from elsewhere do not outlive their retention time."""

from datetime import timedelta

from sqlalchemy import select

from sender.delivery.staging_retention import erase_expired
from sender.store.campaigns import StagedRecipient
from sender.store.engine import open_store
from sender.vocabulary import RunState
from tests.support.factory import NOW, add_campaign, add_run, address_id_of, establish

MOMENT = timedelta(microseconds=1)


def test_only_what_is_over_and_past_its_time_is_erased(database_url: str) -> None:
    store = open_store(database_url)
    with store.write() as session:
        organisation = establish(session)
        _, version = add_campaign(session, organisation.controller)
        cases = (
            (RunState.FINISHED, timedelta(0), True),
            (RunState.FINISHED, MOMENT, False),
            (RunState.PAUSED, timedelta(days=-1), False),
        )
        expected = {}
        for state, left, erased in cases:
            run = add_run(session, organisation, version, state=state)
            staged = StagedRecipient(
                run_id=run.id,
                address_id=address_id_of(session),
                address="ann@example.org",
                attributes={"ward": "Castle"},
                erase_after=NOW + left,
            )
            session.add(staged)
            session.flush()
            expected[staged.id] = erased
        assert erase_expired(session, NOW) == 1
        assert erase_expired(session, NOW) == 0
    with store.read() as session:
        rows = session.scalars(select(StagedRecipient)).all()
        assert {row.id: row.address is None for row in rows} == expected
        assert {row.id: row.attributes == {} for row in rows} == expected
    store.close()
