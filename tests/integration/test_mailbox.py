"""A maildir is read: nothing is lost or counted twice; a report counts as far as it is proven."""

import logging
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from sender.context import Context
from sender.errors import NotFoundError
from sender.inbound import mailbox
from sender.inbound.replies import ReplyTaken, take_reply
from sender.providers.events import PersonsReply
from sender.providers.smtp.mime import HEAD_BYTES
from sender.store.engine import Store
from sender.store.inbound import InboundNotification
from sender.store.suppressions import SuppressionEvent
from sender.vocabulary import (
    Arrival,
    BlockCause,
    DeliveryState,
    EventKind,
    ReplyMeaning,
)
from tests.support.factory import add_campaign, add_run, address_id_of, block, establish
from tests.support.mail_world import SALT, SAMPLES, MailWorld, open_mail_world, reply
from tests.unit.test_smtp_events import SAMPLES as EXPECTED

ANN, BOB = "ann@example.net", "bob@example.net"
OBJECTION, OPT_OUT = BlockCause.OBJECTION, BlockCause.OPT_OUT
INVALID, HOLD = BlockCause.INVALID, BlockCause.HOLD
QUOTING = """Great letter!

On Thu, 7 May 2026, Riverside <news@riverside.example.org> wrote:
> The library stays open.
> Unsubscribe: https://out.example.org/u/x
> STOP
"""


@pytest.fixture
def world(store: Store, tmp_path: Path) -> MailWorld:
    return open_mail_world(store, tmp_path / "Maildir")


# ---- what a report does


def test_every_kind_of_report_does_what_it_says(world: MailWorld) -> None:
    sent = {}
    for name in EXPECTED:
        address = f"{name}@example.net"
        row = sent[address] = world.send(address)
        world.drop(world.returned(name, row, address, verp=True, token=True))
    found = world.read()
    assert found.unread == {}
    assert found.events.total() == len(EXPECTED)
    # Two samples return no part of the message and came to no return path of ours.
    unsigned = {"amazonses-unknown-user", "mdn-displayed", "vacation-sieve", "imail-invalid-userid"}
    for name, (kind, cause, _) in EXPECTED.items():
        address = f"{name}@example.net"
        stopped = {OBJECTION if cause is BlockCause.COMPLAINT else cause} - {None}
        assert world.causes(address) == (set() if name in unsigned else stopped), name
        bounced = world.delivery(sent[address]).bounced_at is not None
        assert bounced is (kind is EventKind.BOUNCED and name not in unsigned), name


def test_a_bounce_makes_the_delivery_failed_and_blocks_the_address(world: MailWorld) -> None:
    row = world.send(ANN)
    world.drop(world.returned("postfix-unknown-user", row, ANN))
    assert world.read().events == {"bounced": 1}
    after = world.delivery(row)
    assert (after.state, after.provider_code) == (DeliveryState.FAILED, "5.1.1 550")
    assert world.blocks(ANN) == {(world.party.id, "email", INVALID)}


def test_a_delay_or_a_refused_text_is_not_the_addresss_fault(world: MailWorld) -> None:
    late, refused = world.send(ANN), world.send(BOB)
    world.drop(world.returned("postfix-delayed", late, ANN))
    world.drop(world.returned("postfix-policy", refused, BOB))
    assert world.read().events == {"deferred": 1, "failed": 1}
    assert world.causes(ANN) == world.causes(BOB) == set()
    assert world.delivery(late).state is DeliveryState.ACCEPTED
    assert world.delivery(refused).state is DeliveryState.FAILED


def test_an_unknown_delivery_is_settled_by_its_bounce(world: MailWorld) -> None:
    row = world.send(ANN, state=DeliveryState.UNKNOWN)
    world.drop(world.returned("oracle-mailbox-full", row, ANN))
    world.read()
    assert world.delivery(row).state is DeliveryState.FAILED


def test_three_transient_bounces_stop_an_address(world: MailWorld) -> None:
    row = world.send(ANN)
    raw = world.returned("oracle-mailbox-full", row, ANN)
    for number in range(3):
        assert world.causes(ANN) == set()
        world.drop(
            raw.replace(b"Thu, 07 May 2026 17:42:28", b"Thu, 07 May 2026 08:0%d:00" % number)
        )
        world.read()
    assert world.causes(ANN) == {BlockCause.BOUNCE}


def test_a_report_that_names_a_recipient_three_times_is_one_bounce(world: MailWorld) -> None:
    row = world.send(ANN)
    raw = world.returned("oracle-mailbox-full", row, ANN)
    begin = raw.index(b"Original-recipient:")
    fields = raw[begin : raw.index(b"\n\n", begin)] + b"\n\n"
    world.drop(raw.replace(fields, fields * 3))
    assert world.read().events == {"bounced": 1}
    assert world.causes(ANN) == set()


def test_a_complaint_is_an_objection(world: MailWorld) -> None:
    row = world.send(ANN)
    world.drop(world.returned("arf-yahoo-abuse", row, ANN))
    assert world.read().events == {"complained": 1}
    assert world.causes(ANN) == {OBJECTION}
    assert world.delivery(row).complained_at is not None


def test_a_report_by_amazon_is_matched_by_its_own_message_id(world: MailWorld) -> None:
    name = "00000132e188591e-2882d710-aacc-49e9-bfac-5400b02ffb9b-000000"
    row = world.send(ANN, provider_message_id=name)
    world.drop(world.returned("amazonses-unknown-user", row, "forwarded@example.com"))
    world.read()
    assert world.causes(ANN) == {BlockCause.BOUNCE}
    assert world.causes("forwarded@example.com") == set()


# ---- how far it is believed


def test_guessed_numbers_take_nobodys_address_away(world: MailWorld) -> None:
    row = world.send(ANN)
    for sample in ("postfix-unknown-user", "exim-content", "postfix-relayed-success"):
        world.drop(world.returned(sample, row, BOB))
    world.drop(world.returned("imail-invalid-userid", row, ANN))
    assert world.read().events == {"unknown": 4}
    assert world.causes(ANN) == world.causes(BOB) == set()
    assert world.delivery(row).state is DeliveryState.ACCEPTED
    codes = {event.code for event in world.events()}
    assert "unproven 5.1.1 550" in codes
    assert {event.delivery_id for event in world.events()} == {None}


def test_numbers_under_another_domain_are_not_ours(world: MailWorld) -> None:
    row = world.send(ANN)
    raw = world.returned("postfix-unknown-user", row, ANN)
    elsewhere = raw.replace(b"@riverside.example.org>", b"@elsewhere.example.org>")
    world.drop(elsewhere)
    assert world.read().events == {"unknown": 1}
    assert world.causes(ANN) == set()


@pytest.mark.parametrize("proof", ["verp", "token"])
def test_what_we_signed_speaks_for_the_message_wherever_it_was_forwarded(
    world: MailWorld, proof: str
) -> None:
    row = world.send(ANN)
    raw = world.returned("exchange2007-not-found", row, "moved@example.com", **{proof: True})
    world.drop(raw.replace(f"{row.id}.{row.run_id}@".encode(), b"lost@"))
    world.read()
    assert world.causes(ANN) == {INVALID}
    assert world.blocks("moved@example.com") == set()


def test_a_signature_of_another_message_proves_nothing_of_this_one(world: MailWorld) -> None:
    row, other = world.send(ANN), world.send(BOB)
    raw = world.returned("exim-content", row, "moved@example.com", verp=True)
    signed, forged = f"+{row.id}.{row.run_id}.", f"+{other.id}.{other.run_id}."
    world.drop(raw.replace(signed.encode(), forged.encode()))
    assert world.read().events == {"unknown": 1}
    assert {world.delivery(one).state for one in (row, other)} == {DeliveryState.ACCEPTED}


def test_after_a_restored_backup_an_old_link_proves_nothing_of_who_has_its_number_now(
    world: MailWorld,
) -> None:
    with world.context.store.write() as session:
        version = add_campaign(session, world.party.controller, "later")[1]
        run = add_run(session, world.party, version, link_salt=SALT[::-1])
    row = world.send(ANN, run)
    world.drop(world.returned("gmail-recipient-rejected", row, "before@example.com", token=True))
    assert world.read().events == {"unknown": 1}
    assert world.causes(ANN) == set()


def test_a_complaint_without_its_recipient_is_believed_by_the_message_it_names(
    world: MailWorld,
) -> None:
    row = world.send(ANN)
    world.drop(world.returned("arf-aol-redacted", row, ANN))
    world.read()
    assert world.causes(ANN) == {OBJECTION}


def test_a_complaint_that_names_an_address_alone_stops_whoever_wrote_there(
    world: MailWorld,
) -> None:
    row, _ = world.send(ANN), world.send(BOB)
    raw = world.returned("arf-yahoo-abuse", row, ANN)
    raw = raw.replace(f"{row.id}.{row.run_id}@".encode(), b"lost@")
    world.drop(raw)
    for nobody in (b"stranger@example.net", b"known@example.net"):
        world.drop(raw.replace(ANN.encode(), nobody))
    with world.context.store.write() as session:
        address_id_of(session, "known@example.net")
    assert world.read().events == {"complained": 1, "unknown": 2}
    assert world.blocks(ANN) == {(world.party.id, "*", OBJECTION)}
    for other in ("stranger@example.net", "known@example.net", BOB):
        assert world.blocks(other) == set()


def test_a_complaint_stops_only_the_controller_that_it_names_as_the_author(
    world: MailWorld,
) -> None:
    with world.context.store.write() as session:
        hill = establish(session, "hillside")
        run = add_run(session, hill, add_campaign(session, hill.controller)[1])
    row, _ = world.send(ANN), world.send(ANN, run)
    raw = world.returned("arf-yahoo-abuse", row, ANN)
    raw = raw.replace(f"{row.id}.{row.run_id}@".encode(), b"lost@")
    world.drop(raw)
    world.read()
    assert world.blocks(ANN) == {(world.party.id, "*", OBJECTION)}
    world.drop(raw.replace(b"news@riverside", b"somebody@else"))
    world.read()
    assert {one for one, _, _ in world.blocks(ANN)} == {world.party.id, hill.id}


def test_what_complains_of_nothing_stops_nobody(world: MailWorld) -> None:
    row = world.send(ANN)
    for sample in ("arf-not-spam", "arf-auth-failure", "mdn-displayed"):
        world.drop(world.returned(sample, row, ANN, verp=True, token=True))
    assert world.read().events == {"unknown": 3}
    assert world.causes(ANN) == set()


# ---- people's words


@pytest.mark.parametrize(
    ("body", "fields", "meaning", "cause"),
    [
        ("Please take me off your list.", {}, ReplyMeaning.STOP, OPT_OUT),
        ("", {"Subject": "Unsubscribe"}, ReplyMeaning.STOP, OPT_OUT),
        ("Thanks, Ann", {"Subject": "UNSUBSCRIBE"}, ReplyMeaning.STOP, OPT_OUT),
        ("Dim mwy, diolch", {}, ReplyMeaning.STOP, OPT_OUT),
        ("not interested", {}, ReplyMeaning.DOUBTFUL, HOLD),
        (QUOTING, {}, ReplyMeaning.OTHER, None),
        (QUOTING.partition("\n")[2], {}, ReplyMeaning.DOUBTFUL, HOLD),
        ("Great letter!", {"Subject": "Re: Stop the closure"}, ReplyMeaning.OTHER, None),
    ],
)  # fmt: skip
def test_replies_go_through_the_recogniser_without_what_they_quote(
    world: MailWorld,
    body: str,
    fields: dict[str, str],
    meaning: ReplyMeaning,
    cause: BlockCause | None,
) -> None:
    world.drop(reply(body, sender=f"Ann Okafor <{ANN.upper()}>", **fields))
    found = world.read()
    assert found.replies == {meaning.value: 1}
    stopped = set() if cause is None else {(world.party.id, "email", cause)}
    assert world.blocks(ANN) == stopped
    assert [one.meaning for one in world.inbox()] == [meaning]


def test_a_reply_needs_no_contact_and_no_delivery(world: MailWorld) -> None:
    world.drop(reply("STOP", sender="stranger@example.net"))
    assert world.read().replies == {"stop": 1}
    assert world.causes("stranger@example.net") == {OPT_OUT}


@pytest.mark.parametrize("known", [None, "0102018f-2c9e-000000"])
def test_a_reply_says_which_message_it_answers(world: MailWorld, known: str | None) -> None:
    row = world.send(ANN, provider_message_id=known)
    ours = f"{row.id}.{row.run_id}@riverside.example.org"
    answered = f"<{known}@eu-west-2.amazonses.com>" if known else f"<{ours}>"
    nowhere = {"To": "reply-box@elsewhere.example.org"}
    world.drop(
        reply("Please unsubscribe me", sender=ANN, References=f"<x@y> {answered}", **nowhere)
    )
    world.read()
    assert world.delivery(row).opted_out_at is not None
    assert world.blocks(ANN) == {(world.party.id, "email", OPT_OUT)}


def test_an_operator_is_shown_the_words_and_what_the_subject_adds(world: MailWorld) -> None:
    world.drop(reply(QUOTING, sender=ANN), name="1")
    world.drop(reply("Thanks, Bob", sender=BOB, Subject="Unsubscribe"), name="2")
    world.drop(reply("> all of it", sender="cy@example.net"), name="3")
    world.read()
    assert [one.body for one in world.inbox()] == [
        "Great letter!",
        "Unsubscribe\nThanks, Bob",
        "Re: Your local newsletter\n> all of it",
    ]


def test_a_start_by_mail_lifts_nothing(world: MailWorld) -> None:
    world.drop(reply("STOP", sender=ANN))
    world.read()
    world.drop(reply("START", sender=ANN))
    assert world.read().replies == {"other": 1}
    assert world.causes(ANN) == {OPT_OUT}


def test_automatic_answers_hold_and_stop_nobody(world: MailWorld) -> None:
    world.drop(
        reply("Stop by my colleague's desk. STOP", sender=ANN, Auto_Submitted="auto-replied")
    )
    world.drop(reply("I am back on Monday.", sender=BOB, Subject="Automatic reply: news"))
    found = world.read()
    assert (found.events, found.replies) == ({"unknown": 1}, {"other": 1})
    assert world.causes(ANN) == world.causes(BOB) == set()


def test_a_subject_that_looks_automatic_hides_no_stop(world: MailWorld) -> None:
    world.drop(reply("unsubscribe me", sender=BOB, Subject="On holiday, and tired of these"))
    assert world.read().replies == {"stop": 1}
    assert world.causes(BOB) == {OPT_OUT}


def test_words_that_no_database_holds_are_kept_as_far_as_they_can_be(world: MailWorld) -> None:
    raw = reply("Please stop", sender=ANN).replace(
        b"Please stop", b"Please\0 stop \xff\xed\xa0\x80"
    )
    world.drop(raw.replace(b"Subject: Re", b"Subject: \0\xff Re"))
    assert world.read().replies == {"stop": 1}
    assert world.causes(ANN) == {OPT_OUT}


def test_the_words_of_a_mail_with_large_pictures_are_read(world: MailWorld) -> None:
    raw = reply("Please stop.", sender=ANN)
    world.drop(raw + b"A" * (3 * HEAD_BYTES))
    with_picture = b"MIME-Version: 1.0\nFrom: bob@example.net\nTo: news@riverside.example.org\n"
    with_picture += b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nSTOP\n--b\n"
    with_picture += b"Content-Type: image/jpeg\nContent-Transfer-Encoding: base64\n\n"
    world.drop(with_picture + b"QUJD\n" * HEAD_BYTES)
    world.read()
    assert world.causes(BOB) == {OPT_OUT}


# ---- the maildir itself


def test_what_was_taken_in_is_moved_as_seen_and_told_again_changes_nothing(
    world: MailWorld,
) -> None:
    raw = reply("STOP", sender=ANN)
    name = world.drop(raw)
    world.read()
    assert (world.files("new"), world.files("cur")) == ([], [f"{name}:2,S"])
    world.drop(b"Received: from elsewhere\n" + raw)
    again = world.read()
    assert (again.again, again.replies) == (1, {})
    assert len(world.inbox()) == 1


def test_what_a_mail_program_moved_but_nobody_saw_is_read_and_keeps_its_flags(
    world: MailWorld,
) -> None:
    world.drop(reply("STOP", sender=ANN), into="cur", name="1.mx:2,F")
    world.drop(reply("STOP", sender=BOB), into="cur", name="2.mx:2,RS")
    world.drop(reply("Hello", sender="cy@example.net"), into="cur", name="3.mx")
    assert world.read().replies == {"stop": 1, "other": 1}
    assert world.files("cur") == ["1.mx:2,FS", "2.mx:2,RS", "3.mx:2,S"]
    assert world.read(seen_too=True).replies == {"stop": 1}
    assert world.causes(BOB) == {OPT_OUT}


def test_kept_messages_stay_where_they_are(world: MailWorld) -> None:
    name = world.drop(reply("STOP", sender=ANN))
    assert world.read(keep=True).replies == {"stop": 1}
    assert world.read(keep=True).again == 1
    assert world.files("new") == [name]


def test_a_message_that_fails_stays_and_stops_no_other(
    world: MailWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = world.drop(reply("STOP", sender=BOB), name="0.mx")
    world.drop(reply("STOP", sender=ANN), name="1.mx")

    def failing(
        session: Session, context: Context, told: PersonsReply, now: datetime, **how: Any
    ) -> ReplyTaken:
        taken = take_reply(session, context, told, now, **how)
        if told.address == BOB:
            raise RuntimeError
        return taken

    monkeypatch.setattr(mailbox, "take_reply", failing)
    found = world.read()
    assert found.unread == {bad: "RuntimeError"}
    assert (world.causes(ANN), world.causes(BOB)) == ({OPT_OUT}, set())
    assert world.files("new") == [bad]
    monkeypatch.undo()
    assert world.read().replies == {"stop": 1}
    assert world.causes(BOB) == {OPT_OUT}


def test_a_crash_between_the_commit_and_the_move_is_harmless(
    world: MailWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = world.send(ANN)
    world.drop(world.returned("postfix-unknown-user", row, ANN))

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mailbox, "_mark_seen", crash)
    with pytest.raises(KeyboardInterrupt):
        world.read()
    monkeypatch.undo()
    assert world.causes(ANN) == {INVALID}
    assert world.read().again == 1
    assert world.files("new") == []
    with world.context.store.read() as session:
        assert len(session.scalars(select(SuppressionEvent)).all()) == 1


def test_what_is_no_mail_is_told_and_left(world: MailWorld, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(reply("STOP", sender=BOB))
    (world.folder / "new" / "1.link").symlink_to(outside)
    os.mkfifo(world.folder / "new" / "2.pipe")
    (world.folder / "new" / "3.folder").mkdir()
    world.drop(b"", name="4.empty")
    world.drop(
        b"From: ann@example.net\n" + b"Content-Type: message/rfc822\n\n" * 9000, name="5.deep"
    )
    world.drop(b"", name=".dovecot")
    world.drop(reply("STOP", sender=ANN), name="6.mx")
    found = world.read()
    assert sorted(found.unread) == ["1.link", "2.pipe", "3.folder", "4.empty", "5.deep"]
    assert found.replies == {"stop": 1}
    assert world.causes(BOB) == set()
    assert len(world.files("new")) == 6


def test_a_message_that_cannot_be_moved_is_taken_in_and_told(world: MailWorld) -> None:
    world.drop(reply("STOP", sender=ANN), name="1.mx")
    world.drop(reply("STOP", sender=BOB), name="1.mx:2,S", into="cur")
    (world.folder / "cur" / "2.mx:2,S").mkdir()
    world.drop(reply("Hello", sender="cy@example.net"), name="2.mx")
    found = world.read()
    assert set(found.unread) == {"1.mx", "2.mx"}
    assert world.causes(ANN) == {OPT_OUT}
    assert world.files("new") == ["1.mx", "2.mx"]
    assert world.read().again == 2


def test_a_folder_that_is_no_maildir_is_refused(world: MailWorld, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="maildir"):
        mailbox.read_mailbox(world.context, tmp_path)


def test_two_readers_at_once_count_each_message_once(world: MailWorld) -> None:
    for number in range(8):
        world.drop(reply("STOP", sender=f"p{number}@example.net"))
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: world.read(), range(2)))
    assert sum((found.replies for found in both), Counter()) == {"stop": 8}
    assert [found.unread for found in both] == [{}, {}]
    with world.context.store.read() as session:
        kept = session.scalars(select(InboundNotification)).all()
        assert len(session.scalars(select(SuppressionEvent)).all()) == 8
    assert {row.arrived_by for row in kept} == {Arrival.MAILBOX}


def test_nothing_kept_or_said_of_reports_names_anybody(
    world: MailWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for path in sorted(SAMPLES.glob("*.eml")):
        world.drop(path.read_bytes())
    world.drop(b"From: ann@example.net\nContent-Type: multipart/mixed; " + b"boundary=x " * 90)
    found = world.read()
    with world.context.store.read() as session:
        kept = session.scalars(select(InboundNotification)).all()
    said = [found, caplog.text, *((row.name, row.raw_type, row.payload) for row in kept)]
    assert "example.net" not in repr(said)
    assert found.unread


def test_a_block_that_is_there_takes_nothing_from_a_new_one(world: MailWorld) -> None:
    row = world.send(ANN)
    with world.context.store.write() as session:
        block(session, row.address_id, cause=HOLD, controller=world.party.controller)
    world.drop(world.returned("postfix-unknown-user", row, ANN))
    world.read()
    assert world.causes(ANN) == {HOLD, INVALID}
