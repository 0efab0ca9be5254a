"""Passing an objection on to legally separate bodies: asked, recorded, and only what was ticked."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from sender.store.campaigns import Run
from sender.store.controllers import Controller
from sender.store.deliveries import Delivery
from sender.store.engine import Store, open_store
from sender.store.inbound import ObjectionPassOn
from sender.store.journal import Journal, Owner
from sender.store.suppressions import Block
from sender.suppression.ledger import BlockScope, Suppression, release
from sender.vocabulary import BlockCause
from tests.support.factory import HASHER, OPERATOR, Organisation, add_body, establish
from tests.support.opt_out_door import Door, introduce, open_door


@pytest.fixture
def door(store: Store, tmp_path: Path) -> Iterator[Door]:
    with open_door(store, tmp_path, relatives=["national", "mayor", "unheard-of"]) as opened:
        yield opened


def relatives(door: Door) -> list[Organisation]:
    with door.store.write() as session:
        return [
            introduce(session, establish(session, slug), name=name)
            for slug, name in (("national", "The National Party"), ("mayor", "Sam for Mayor"))
        ]


def answers(door: Door) -> list[tuple[str, bool]]:
    with door.store.read() as session:
        query = (
            select(Controller.slug, ObjectionPassOn.passed_on)
            .join(Controller, Controller.id == ObjectionPassOn.to_controller_id)
            .order_by(ObjectionPassOn.id)
        )
        return [(slug, yes) for slug, yes in session.execute(query)]


def asked_about(door: Door) -> list[str]:
    return re.findall(r'name="to" value="(\w+)"', door.get(door.link).html)


def blocked_at(door: Door, body: Organisation) -> set[tuple[int, str]]:
    query = select(Block.address_id, Block.cause).where(Block.controller_id == body.id)
    with door.store.read() as session:
        return {(address_id, cause.name) for address_id, cause in session.execute(query)}


def test_each_separate_body_is_asked_about_with_an_empty_box(door: Door) -> None:
    relatives(door)
    assert "pass-on" not in door.get(door.link).acts
    assert "pass-on" not in door.stop().acts
    page = door.press(door.get(door.link), "everything")
    assert re.findall(r'name="to" value="(\w+)"', page.html) == ["mayor", "national"]
    assert "checked" not in page.html
    assert "The National Party" in page.text


def test_the_answer_is_kept_and_a_yes_is_an_objection_there(door: Door) -> None:
    national, mayor = relatives(door)
    page = door.press(door.get(door.link), "everything")
    told = door.press(page, "pass-on", to=["national", "riverside", "nobody-known"])
    assert "We told them to stop as well: The National Party." in told.text
    assert "pass-on" not in told.acts
    assert sorted(answers(door)) == [("mayor", False), ("national", True)]
    assert blocked_at(door, mayor) == set()
    both = {door.email.address_id, door.sms.address_id}
    assert blocked_at(door, national) == {(one, "OBJECTION") for one in both}
    of_national = [one for one in door.events() if one.controller_id == national.id]
    assert {(one.source, one.delivery_id) for one in of_national} == {("passed-on:riverside", None)}


def test_told_twice_is_told_once(door: Door) -> None:
    relatives(door)
    page = door.press(door.get(door.link), "everything")
    door.press(page, "pass-on", to="national")
    before = door.rows()
    again = door.press(page, "pass-on", to="national")
    assert again.title == "Passed on"
    assert door.rows() == before


def test_a_no_is_kept_and_may_become_a_yes(door: Door) -> None:
    national, _ = relatives(door)
    page = door.press(door.get(door.link), "everything")
    assert door.press(page, "pass-on", to="national", nobody="1").title == "Not passed on"
    assert sorted(answers(door)) == [("mayor", False), ("national", False)]
    assert blocked_at(door, national) == set()
    later = door.get(door.link)
    door.press(later, "pass-on", to="national")
    assert max(answers(door)) == ("national", True)
    assert blocked_at(door, national)


def test_whoever_let_a_body_write_again_is_asked_anew(door: Door) -> None:
    national, _ = relatives(door)
    page = door.press(door.get(door.link), "everything")
    door.press(page, "pass-on", to="national")
    assert asked_about(door) == ["mayor"]
    later = door.clock.now() + timedelta(seconds=1)
    with door.store.write() as session:
        for address_id, _cause in blocked_at(door, national):
            lifted = Suppression(
                scope=BlockScope(address_id, national.id),
                cause=BlockCause.OBJECTION,
                occurred_at=later,
                source="letter",
                by_person=True,
                operator=OPERATOR,
            )
            release(session, lifted, later)
    assert asked_about(door) == ["mayor", "national"]


def test_what_the_journal_missed_it_hears_when_it_is_passed_on_again(
    door: Door, tmp_path: Path
) -> None:
    relatives(door)
    page = door.press(door.get(door.link), "everything")
    owner = Owner(HASHER, "database")
    door.store.journal = Journal(tmp_path / "no folder" / "journal", owner, door.clock)
    assert door.press(page, "pass-on", to="national").status == 500
    door.store.journal = Journal(tmp_path / "journal", owner, door.clock)
    assert door.press(page, "pass-on", to="national").status == 200
    lines = (tmp_path / "journal").read_text(encoding="utf-8").splitlines()[1:]
    passed_on = {one.id for one in door.events() if one.source == "passed-on:riverside"}
    assert {json.loads(line)["id"] for line in lines} == passed_on


def test_without_an_objection_nothing_is_passed_on(door: Door) -> None:
    national, _ = relatives(door)
    door.post(door.link, {"act": "pass-on", "to": "national"})
    assert answers(door) == []
    assert blocked_at(door, national) == set()


def test_bodies_that_the_message_spoke_for_are_asked_about_too(door: Door) -> None:
    with door.store.write() as session:
        candidate = establish(session, "candidate")
        run_id = session.get_one(Delivery, door.email.delivery_id).run_id
        add_body(session, session.get_one(Run, run_id), candidate)
    page = door.press(door.get(door.link), "everything")
    assert re.findall(r'name="to" value="(\w+)"', page.html) == ["candidate"]


def test_nobody_is_asked_about_where_there_is_no_relative(sqlite_url: str, tmp_path: Path) -> None:
    store = open_store(sqlite_url)
    with open_door(store, tmp_path) as alone:
        relatives(alone)
        assert "pass-on" not in alone.press(alone.get(alone.link), "everything").acts
    store.close()
