"""Health says whether an opt-out could be kept; metrics count and name nobody."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from sender.context import Context
from sender.monitoring.gauges import DatabaseGauges
from sender.store.alert_book import raise_alert
from sender.store.engine import Store
from sender.store.inbound import InboxMessage
from sender.store.journal import Journal, Owner
from sender.store.keys import AddressHasher
from sender.vocabulary import Channel, DeliveryState, ReplyMeaning
from sender.web import health
from sender.web.app import assemble
from sender.web.limits import Limits
from tests.support.factory import (
    HASHER,
    NOW,
    Organisation,
    add_campaign,
    add_contact,
    add_delivery,
    add_notification,
    add_point,
    add_run,
    address_id_of,
    establish,
)
from tests.support.web_context import SteppedClock, web_context
from tests.support.web_server import serve

TOKEN = "metrics-token-of-this-test"
OF_WHAT_CAME_BACK = {
    "sender_database_up",
    "sender_inbox_open",
    "sender_inbox_oldest_seconds",
    "sender_alerts_open",
    "sender_deliveries_unknown",
    "sender_events_waiting",
}
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@contextmanager
def serving(context: Context) -> Iterator[str]:
    with serve(assemble(context, [health.routes(context)], Limits())) as url:
        yield url


def answer(url: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    response = requests.request(method, url, headers=headers, timeout=60)
    return response.status_code, response.text


def gauges(context: Context) -> dict[str, float]:
    """Return those that concern what came back; test_gauges.py has those of sending."""
    return {
        sample.name: sample.value
        for metric in DatabaseGauges(context).collect()
        for sample in metric.samples
        if sample.name in OF_WHAT_CAME_BACK
    }


def break_schema(store: Store) -> None:
    with store.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0001'"))


def test_a_process_that_can_work_is_up_and_ready(store: Store) -> None:
    with serving(web_context(store)) as url:
        for path in ("/healthz", "/readyz"):
            assert answer(url + path) == (200, "OK.\n")
            assert answer(url + path, "HEAD") == (200, "")


def test_a_database_of_another_version_is_not_ready_and_strangers_hear_no_more(
    store: Store,
) -> None:
    context = web_context(store)
    break_schema(store)
    with serving(context) as url:
        assert answer(f"{url}/readyz") == (503, "Service Unavailable.\n")
        assert answer(f"{url}/healthz") == (200, "OK.\n")


def test_a_database_without_tables_is_not_ready(store: Store) -> None:
    context = web_context(store)
    with store.write() as session:
        session.execute(text("ALTER TABLE hash_key RENAME TO gone"))
    with serving(context) as url:
        assert answer(f"{url}/readyz") == (503, "Service Unavailable.\n")


def test_a_database_of_another_key_is_not_ready(store: Store) -> None:
    context = replace(web_context(store), hasher=AddressHasher(b"another key" * 3))
    with serving(context) as url:
        assert answer(f"{url}/readyz") == (503, "Service Unavailable.\n")


def test_a_journal_that_cannot_be_written_is_not_ready(store: Store, tmp_path: Path) -> None:
    context = web_context(store)
    owner = Owner(HASHER, "a")
    context.store.journal = Journal(tmp_path / "missing" / "journal", owner, context.clock)
    with serving(context) as url:
        assert answer(f"{url}/readyz") == (503, "Service Unavailable.\n")
    context.store.journal = Journal(tmp_path / "journal", owner, context.clock)
    with serving(context) as url:
        assert answer(f"{url}/readyz") == (200, "OK.\n")


def test_readiness_is_asked_of_the_database_once_a_second_at_most(store: Store) -> None:
    context = web_context(store)
    assert isinstance(context.clock, SteppedClock)
    with serving(context) as url:
        assert answer(f"{url}/readyz")[0] == 200
        break_schema(store)
        assert answer(f"{url}/readyz")[0] == 200
        context.clock.seconds += health.FRESH_SECONDS
        assert answer(f"{url}/readyz")[0] == 503


@pytest.mark.parametrize("token", [None, SecretStr("")])
def test_without_a_token_there_are_no_metrics(store: Store, token: SecretStr | None) -> None:
    with serving(web_context(store, metrics_token=token)) as url:
        assert answer(f"{url}/metrics", Authorization="Bearer ") == (404, "Not Found.\n")
        assert answer(f"{url}/metrics") == (404, "Not Found.\n")


@pytest.mark.parametrize("given", ["", "Bearer", f"Bearer {TOKEN}x", TOKEN, f"Basic {TOKEN}"])
def test_metrics_are_for_whoever_has_the_token(store: Store, given: str) -> None:
    with serving(web_context(store, metrics_token=SecretStr(TOKEN))) as url:
        assert answer(f"{url}/metrics", Authorization=given) == (404, "Not Found.\n")
        assert answer(f"{url}/metrics", **BEARER)[0] == 200


def test_metrics_are_what_prometheus_reads(store: Store) -> None:
    with serving(web_context(store, metrics_token=SecretStr(TOKEN))) as url:
        answer(f"{url}/healthz")
        answer(f"{url}/healthz")  # the one before is counted by now
        _, document = answer(f"{url}/metrics", **BEARER)
    families = {family.name: family for family in text_string_to_metric_families(document)}
    counted = [sample.labels for sample in families["sender_web_request_seconds"].samples]
    assert {"route": "/healthz", "method": "GET", "status": "200"} in counted
    [build] = families["sender_build_info"].samples
    assert build.labels["version"]
    assert families["sender_database_up"].samples[0].value == 1


def test_the_database_is_asked_for_counts_at_each_scrape(store: Store) -> None:
    context = web_context(store)
    assert gauges(context) == {
        "sender_database_up": 1,
        "sender_inbox_open": 0,
        "sender_inbox_oldest_seconds": 0,
        "sender_alerts_open": 0,
        "sender_deliveries_unknown": 0,
        "sender_events_waiting": 0,
    }
    with store.write() as session:
        organisation = establish(session)
        for age, meaning in ((5, ReplyMeaning.DOUBTFUL), (9, ReplyMeaning.OTHER)):
            add_reply(session, organisation, timedelta(seconds=age), meaning)
        decided = add_reply(session, organisation, timedelta(seconds=7), ReplyMeaning.DOUBTFUL)
        decided.decided_at = NOW
        raise_alert(session, "test.alert", "one", now=NOW)
        raise_alert(session, "test.alert", "two", now=NOW)
        add_messages(session, organisation)
    assert gauges(context) == {
        "sender_database_up": 1,
        "sender_inbox_open": 1,
        "sender_inbox_oldest_seconds": 5,
        "sender_alerts_open": 2,
        "sender_deliveries_unknown": 1,
        "sender_events_waiting": 0,
    }


def test_a_scrape_survives_a_database_that_does_not_answer(store: Store) -> None:
    context = web_context(store, metrics_token=SecretStr(TOKEN))
    with store.write() as session:
        session.execute(text("ALTER TABLE alert RENAME TO gone"))
    with serving(context) as url:
        status, document = answer(f"{url}/metrics", **BEARER)
    assert status == 200
    assert "sender_database_up 0.0" in document
    assert "sender_inbox_open" not in document


def test_unknown_deliveries_are_counted_by_their_index(store: Store) -> None:
    asked: list[tuple[str, Any]] = []

    def note(*call: Any) -> None:
        if "FROM delivery" in call[2]:
            asked.append((call[2], call[3]))

    context = web_context(store)
    event.listen(store.engine, "before_cursor_execute", note)
    gauges(context)
    event.remove(store.engine, "before_cursor_execute", note)
    [(statement, parameters)] = asked
    explain = "EXPLAIN QUERY PLAN" if store.dialect == "sqlite" else "EXPLAIN"
    with store.read() as session:
        connection = session.connection()
        if store.dialect == "postgresql":  # a table without rows is otherwise read whole
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = connection.exec_driver_sql(f"{explain} {statement}", parameters).all()
    assert "ix_delivery_unsettled" in str(plan)


def add_reply(
    session: Session, organisation: Organisation, age: timedelta, meaning: ReplyMeaning
) -> InboxMessage:
    row = InboxMessage(
        notification_id=add_notification(session).id,
        controller_id=organisation.id,
        address_id=address_id_of(session, channel=Channel.SMS),
        channel=Channel.SMS,
        received_at=NOW - age,
        body="hm",
        meaning=meaning,
        erase_after=NOW + timedelta(days=1),
    )
    session.add(row)
    return row


def add_messages(session: Session, organisation: Organisation) -> None:
    run = add_run(session, organisation, add_campaign(session, organisation.controller)[1])
    for state in (DeliveryState.UNKNOWN, DeliveryState.DISPATCHING, DeliveryState.PENDING):
        point = add_point(session, add_contact(session, organisation.controller))
        add_delivery(session, run, point, state=state)
