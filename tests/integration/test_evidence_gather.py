"""Evidence is put together alike on both databases."""

import pytest
from sqlalchemy import select

from sender.consent.history import Subject
from sender.evidence.counts import DIMENSIONS, Basis, count_by
from sender.evidence.forms import evidence_document
from sender.evidence.gather import gather
from sender.evidence.page import evidence_page
from sender.store.engine import Store
from sender.store.keys import register_key
from sender.store.suppressions import SuppressionEvent
from sender.vocabulary import Channel
from tests.support.factory import HASHER, NOW
from tests.support.past_world import Past, Step

HISTORY = [
    Step("import", number=1),
    Step("approve"),
    Step("send", number=1),
    Step("yes", body=1, number=1),
    Step("send", number=0),
    Step("block", number=3),
    Step("send", number=1),
]


@pytest.fixture
def past(store: Store) -> Past:
    with store.write() as session:
        register_key(session, HASHER, NOW)
        past = Past(session)
        past.live(HISTORY)
        session.refresh(past.points[0])
    return past


def test_the_evidence_is_whole_on_both_databases(store: Store, past: Past) -> None:
    address = past.points[0].address or ""
    with store.read() as session:
        found = gather(session, HASHER, Subject("riverside", Channel.EMAIL, address), past.now)
        recorded = session.scalars(select(SuppressionEvent.recorded_at)).one()
    assert [one.reason for one in found.messages] == [None, None, "suppressed"]
    assert all(decision.agrees for one in found.messages for decision in one.decisions)
    assert found.consents[0].approved_at is not None
    [opt_out] = found.opt_outs
    assert (opt_out.controller, opt_out.took_effect_at) == ("riverside", recorded)
    assert address in evidence_page(found)
    assert len(evidence_document(found, limitation_years=6)["consent_records"]) == 1


@pytest.mark.parametrize("name", DIMENSIONS)
def test_a_run_is_counted_by_every_dimension(store: Store, past: Past, name: str) -> None:
    with store.read() as session:
        found = count_by(session, past.sent[1].run_id, [name, "notice"])
    assert [(one.controller, one.messages) for one in found.bases] == [
        ("candidate", 1),
        ("riverside", 1),
    ]
    assert {one.by[1] for one in found.bases} == {"sign-up-form@1"}


def test_several_with_the_same_basis_are_one_line(store: Store, past: Past) -> None:
    with store.read() as session:
        found = count_by(session, past.sent[0].run_id, ["notice", "source"])
    basis = Basis("riverside", ("sign-up-form@1", "https://example.org/sign-up"), 1)
    assert found.bases == (basis,)
