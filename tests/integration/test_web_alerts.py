"""The server tells the operators, because it is the process that is always there."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from sender.alerts.notify import notify_operators
from sender.context import Context
from sender.store.alert_book import raise_alert
from sender.store.engine import Store
from sender.web import housekeeping
from sender.web.app import assemble
from sender.web.limits import Limits
from tests.fakes.http import Answer, HttpFake, Request
from tests.support.factory import NOW
from tests.support.web_context import web_context
from tests.support.web_server import serve

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])


class Receiver(HttpFake):
    def respond(self, request: Request) -> Answer:
        del request
        return Answer(200, b"ok")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def test_what_stands_is_told_while_the_server_runs_whatever_failed_before(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([OperationalError("", {}, Exception())])

    def fail_once(context: Context) -> int:
        for failure in failures:
            raise failure
        return notify_operators(context)

    monkeypatch.setattr(housekeeping, "LOOK_EVERY", timedelta(milliseconds=10))
    monkeypatch.setattr(housekeeping, "notify_operators", fail_once)
    context = web_context(store, alert_webhook_url=SecretStr(receiver.url))
    with store.write() as session:
        raise_alert(session, "opt_out.row_missing", "delivery 7", now=NOW)
    with serve(assemble(context, [], Limits())):
        while not receiver.requests:
            pass
    assert len(receiver.requests) == 1
