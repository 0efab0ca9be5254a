"""The answer to an access request: all that is held, of one person, at whom was asked."""

import json

import pytest

from sender.cli.output import json_ready
from sender.errors import NotFoundError, UsageError
from sender.store.audit import AuditEvent
from sender.store.engine import Store
from sender.subjects.export import Everything, export
from sender.subjects.holdings import HOLDINGS
from sender.subjects.page import page
from sender.subjects.whom import Asked
from sender.vocabulary import Channel
from tests.support.factory import add_contact, add_point, establish
from tests.support.held import Held, hold
from tests.support.web_context import web_context

ANN, BOB = "Annotated", "Bobolink"


def held(store: Store) -> tuple[Held, Held]:
    with store.write() as session:
        riverside, candidate = establish(session, "riverside"), establish(session, "candidate")
        ann = hold(session, riverside, candidate, ANN)
        hold(session, candidate, riverside, f"{ANN}Twice")
        return ann, hold(session, riverside, candidate, BOB)


def as_text(found: Everything) -> str:
    return json.dumps(found, default=json_ready)


def test_every_kind_of_row_is_in_it(store: Store) -> None:
    ann, _ = held(store)
    found = export(web_context(store), Asked(Channel.EMAIL, ann.address, "riverside"))
    (riverside,) = found.controllers
    assert {section.table for section in riverside.sections} == {
        holding.model.__tablename__ for holding in HOLDINGS
    }
    assert [row["wording"] for row in riverside.wordings] == ["Yes, riverside may write to me."]
    assert found.beside


def test_it_is_found_by_any_of_their_addresses(store: Store) -> None:
    ann, _ = held(store)
    context = web_context(store)
    by_email = export(context, Asked(Channel.EMAIL, ann.address, "riverside"))
    by_number = export(context, Asked(Channel.SMS, ann.number, "riverside"))
    tables = [section.table for section in by_email.controllers[0].sections]
    assert [section.table for section in by_number.controllers[0].sections] == tables


def test_nothing_of_anybody_else_is_in_it(store: Store) -> None:
    ann, bob = held(store)
    found = as_text(export(web_context(store), Asked(Channel.EMAIL, ann.address, "riverside")))
    assert ann.mark in found
    assert bob.mark not in found
    assert f"{ANN}Twice" not in found, "another controller's record of another person"


def test_one_controller_does_not_tell_what_another_holds(store: Store) -> None:
    context = web_context(store)
    with store.write() as session:
        for slug, name in (("party", "Alexandra"), ("candidate", "Sandra")):
            contact = add_contact(session, establish(session, slug).controller, first_name=name)
            add_point(session, contact, "ann@example.org")
    one = as_text(export(context, Asked(Channel.EMAIL, "ann@example.org", "party")))
    assert ("Alexandra" in one, "Sandra" in one) == (True, False)
    both = as_text(export(context, Asked(Channel.EMAIL, "ann@example.org", None)))
    assert ("Alexandra" in both, "Sandra" in both) == (True, True)


def test_an_unknown_address_is_answered_with_nothing(store: Store) -> None:
    context = web_context(store)
    with store.write() as session:
        establish(session)
    found = export(context, Asked(Channel.EMAIL, "nobody@example.org", "riverside"))
    assert found.controllers == ()
    assert "Nothing is held" in page(found)


def test_the_audit_trail_says_who_read_it_and_no_address(store: Store) -> None:
    ann, _ = held(store)
    export(web_context(store), Asked(Channel.EMAIL, ann.address, "riverside"))
    with store.read() as session:
        row = session.query(AuditEvent).filter_by(action="subject.export").one()
    assert row.details == {"everywhere": False, "address_id": ann.email.address_id}


def test_the_page_shows_every_value_and_runs_none(store: Store) -> None:
    context = web_context(store)
    with store.write() as session:
        body = establish(session)
        name = "<script>alert('x')</script>"
        add_point(session, add_contact(session, body.controller, last_name=name), "a@example.org")
    text = page(export(context, Asked(Channel.EMAIL, "a@example.org", "riverside")))
    assert "&lt;script&gt;alert" in text
    assert "<script" not in text
    assert "a@example.org" in text


def test_whose_data_is_meant_is_never_guessed(store: Store) -> None:
    with pytest.raises(UsageError):
        Asked(Channel.EMAIL, "a@example.org", None).require_scope(everywhere=False)
    with pytest.raises(UsageError):
        Asked(Channel.EMAIL, "a@example.org", "riverside").require_scope(everywhere=True)
    with pytest.raises(NotFoundError):
        export(web_context(store), Asked(Channel.EMAIL, "a@example.org", "nowhere"))
