"""The inbox as an operator types it, on both databases."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from sender.clock import SystemClock
from sender.context import Context
from sender.inbound.replies import take_reply
from sender.settings import Settings
from sender.store.engine import Store, open_store
from tests.support.command_line import CONTROLLER_FILE, Desk
from tests.support.factory import HASHER, OPERATOR
from tests.support.reply_desk import PERSON, texted

NUMBER = "+447700900001"
OTHER_NUMBER = "+447700900002"
OTHER_PERSON = "+447911000002"


@pytest.fixture
def desk(desk: Desk) -> Desk:
    hillside = CONTROLLER_FILE.replace('"riverside"', '"hillside"').replace(NUMBER, OTHER_NUMBER)
    desk.done("controller", "add", desk.write("hillside.toml", hillside))
    return desk


@pytest.fixture
def texts(database_url: str) -> Iterator["Texts"]:
    store = open_store(database_url)
    yield Texts(store)
    store.close()


class Texts:
    """People who write back."""

    def __init__(self, store: Store) -> None:
        self.context = Context(Settings(), store, HASHER, SystemClock(), OPERATOR)

    def send(self, body: str, sender: str = PERSON, to: str = NUMBER, age_hours: int = 5) -> None:
        written = self.context.clock.now() - timedelta(hours=age_hours)
        with self.context.store.write() as session:
            take_reply(session, self.context, texted(body, to, sender=sender), written)


def causes(desk: Desk, number: str = PERSON) -> list[tuple[str, str]]:
    document = desk.read("suppress", "check", number, "-c", "riverside")
    return [(one["cause"], one["channel"]) for one in document["blocks"]]


def waiting(desk: Desk, *options: str) -> list[int]:
    document = desk.read("inbox", "list", "-c", "riverside", *options)
    return [one["id"] for one in document["messages"]]


def test_what_waits_is_listed_with_its_age(desk: Desk, texts: Texts) -> None:
    texts.send("not interested")
    texts.send("Yes I'll vote")
    answer = desk.done("inbox", "list", "-c", "riverside").out
    assert "not interested" in answer
    assert "5 h" in answer
    assert "I'll vote" not in answer
    [one] = desk.read("inbox", "list", "-c", "riverside")["messages"]
    assert one["body"] == "not interested"
    assert one["open"] is True
    assert 5 * 3600 <= one["age_seconds"] < 6 * 3600
    assert "I'll vote" in desk.done("inbox", "list", "-c", "riverside", "--all").out


def test_an_empty_inbox_says_so(desk: Desk) -> None:
    assert "Nothing waits" in desk.done("inbox", "list", "-c", "riverside").out
    assert desk.read("inbox", "list", "-c", "riverside") == {"messages": [], "total": 0}


@pytest.mark.parametrize(
    ("decision", "left"),
    [("stop", [("opt_out", "sms")]), ("objection", [("objection", "*")]), ("not-a-stop", [])],
)
def test_a_decision_is_shown_first_and_carried_out(
    desk: Desk, texts: Texts, decision: str, left: list[tuple[str, str]]
) -> None:
    texts.send("not interested")
    assert causes(desk) == [("hold", "sms")]
    answer = desk.done(
        "inbox", "decide", "-c", "riverside", "--all-open", "--as", decision, "--yes"
    )
    assert "not interested" in answer.out
    assert f"Recorded as {decision}: 1 message of 1 person." in answer.out
    assert causes(desk) == left
    assert waiting(desk) == []
    [kept] = desk.read("inbox", "list", "-c", "riverside", "--all")["messages"]
    assert kept["decided_by"] == "olive"


def test_nothing_is_decided_where_nobody_can_be_asked(desk: Desk, texts: Texts) -> None:
    texts.send("not interested")
    for options in ([], ["--json"]):
        answer = desk.sender(
            "inbox", "decide", "-c", "riverside", "--all-open", "--as", "stop", *options
        )
        assert answer.code == 2
        assert "--yes" in answer.err + answer.out
    assert causes(desk) == [("hold", "sms")]


def test_ids_and_rules_choose_and_the_rest_waits(desk: Desk, texts: Texts) -> None:
    texts.send("not interested")
    texts.send("enough", OTHER_PERSON)
    first, second = waiting(desk)
    [other] = [
        one for one in desk.read("inbox", "list", "-c", "riverside")["messages"]
        if one["id"] == second
    ]  # fmt: skip
    done = desk.read(
        "inbox", "decide", "-c", "riverside", "--rule", other["rule"], "--as", "not-a-stop", "--yes"
    )
    assert done == {"decided": 1, "people": 1, "holds_released": 1, "still_held": 0}
    assert waiting(desk) == [first]
    desk.done("inbox", "decide", "-c", "riverside", str(first), "--as", "stop", "--yes")
    assert (causes(desk), causes(desk, OTHER_PERSON)) == ([("opt_out", "sms")], [])


@pytest.mark.parametrize("options", [[], ["7", "--all-open"], ["--rule", "short-no", "--all-open"]])
def test_exactly_one_way_to_choose_is_needed(desk: Desk, options: list[str]) -> None:
    answer = desk.sender("inbox", "decide", "-c", "riverside", *options, "--as", "stop", "--yes")
    assert answer.code == 2
    assert "--all-open" in answer.err


def test_another_controllers_messages_are_neither_seen_nor_decided(
    desk: Desk, texts: Texts
) -> None:
    texts.send("not interested", to=OTHER_NUMBER)
    [theirs] = [one["id"] for one in desk.read("inbox", "list", "-c", "hillside")["messages"]]
    assert waiting(desk, "--all") == []
    answer = desk.sender("inbox", "decide", "-c", "riverside", str(theirs), "--as", "stop", "--yes")
    assert answer.code == 1
    assert f"has no message {theirs}" in answer.err


def test_a_decided_stop_is_not_taken_back(desk: Desk, texts: Texts) -> None:
    texts.send("please remove me")
    [message] = waiting(desk, "--all")
    answer = desk.sender(
        "inbox", "decide", "-c", "riverside", str(message), "--as", "not-a-stop", "--yes"
    )
    assert answer.code == 1
    assert "only the person starts again" in answer.err
    assert causes(desk) == [("opt_out", "sms")]


def test_deciding_on_nothing_is_no_error(desk: Desk) -> None:
    answer = desk.done("inbox", "decide", "-c", "riverside", "--all-open", "--as", "stop")
    assert "Nothing waits" in answer.out
    document = desk.read("inbox", "decide", "-c", "riverside", "--all-open", "--as", "stop")
    assert document["decided"] == 0


def test_a_person_that_the_controller_does_not_know_is_shown_by_hash(
    desk: Desk, texts: Texts
) -> None:
    texts.send("not interested")
    assert PERSON not in desk.done("inbox", "list", "-c", "riverside").out
    people = "external_ref,mobile\n1,07911123456\n"
    stored = ("--store", "letters", "--retain-until", "2099-12-31")
    desk.done("contacts", "import", desk.write("people.csv", people), "-c", "riverside", *stored)
    assert PERSON in desk.done("inbox", "list", "-c", "riverside").out


def test_words_cannot_steer_the_terminal_and_long_ones_say_what_is_left_out(
    desk: Desk, texts: Texts
) -> None:
    texts.send("not interested \x1b[2J \x9b31m \u202eevil\r\n" + "x" * 400)
    texts.send("enough")
    answer = desk.done("inbox", "list", "-c", "riverside", "--all").out
    assert not set("\x1b\x9b\u202e\r") & set(answer)
    assert "more characters)" in answer
    [one] = [
        one for one in desk.read("inbox", "list", "-c", "riverside", "--all")["messages"]
        if "interested" in one["body"]
    ]  # fmt: skip
    assert one["body"].endswith("x" * 400)


def test_what_a_limit_leaves_out_is_said(desk: Desk, texts: Texts) -> None:
    for number in range(3):
        texts.send("not interested", sender=f"+44791100000{number}")
    answer = desk.done("inbox", "list", "-c", "riverside", "--limit", "2")
    assert "2 of 3 are shown" in answer.err
    assert desk.read("inbox", "list", "-c", "riverside", "--limit", "2")["total"] == 3


def test_a_long_preview_says_how_many_more_there_are(desk: Desk, texts: Texts) -> None:
    for number in range(52):
        texts.send("not interested", sender=f"+4479110000{number:02}")
    answer = desk.done("inbox", "decide", "-c", "riverside", "--all-open", "--as", "stop", "--yes")
    assert "2 more" in answer.err
    assert "52 messages of 52 people" in answer.out
