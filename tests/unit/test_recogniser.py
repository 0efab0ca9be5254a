"""What counts as a stop: the named cases, the labelled set, and what must hold for any text."""

import importlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sender.inbound.recogniser import exact_keyword, figures, keywords, recognise, rules
from sender.inbound.recogniser.plain import READ_CHARACTERS, plain
from sender.inbound.recogniser.spelling import is_slip_for_stop
from sender.inbound.recogniser.word_groups import GROUPS
from sender.vocabulary import ReplyMeaning
from tests.support.tracked import ROOT

STOP, START, HELP = ReplyMeaning.STOP, ReplyMeaning.START, ReplyMeaning.HELP
DOUBTFUL, OTHER = ReplyMeaning.DOUBTFUL, ReplyMeaning.OTHER

LABELLED = figures.read_labelled(ROOT / "tests/unit/data/replies.csv")
JUDGED = figures.judge(LABELLED)
PAGE = (ROOT / "docs/stop-recogniser.md").read_text("utf-8")
CAUGHT = sorted({j.reply.text for j in JUDGED if j.reply.label is STOP and j.meaning is STOP})

CASES = {
    STOP: """
        STOP | stop. | "Stop" | \u2018STOP\u2019 | STOP please | Please stop! | hi Sarah, stop
        STOP SARAH | stop\U0001f64f | \U0001f6d1 | \u26d4\ufe0f | S T O P | s.t.o.p | S-T-O-P
        sto p | STOPPPP | stpo | sotp | stol | unsubscibe | unsuscribe | UNSUB | OPT OUT | opt-out
        opt - out | OPTOUT | $top | st0p | \uff33\uff34\uff2f\uff30 | \u0405\u0442\u043e\u0440
        \u0441\u0442\u043e\u043f | \u015ftop | S\u200bT\u200bO\u200bP | \u24c8\u24e3\u24de\u24df
        \U0001f1f8\U0001f1f9\U0001f1f4\U0001f1f5 | \U0001f182\U0001f183\U0001f17e\U0001f17f
        take me off your list | remove my number | no more texts | wrong number | leave me alone
        who gave you my number, delete it | fuck off | f**k off | do not contact me | jog on
        I object to you using my number | I withdraw my consent | yes stop | no stop | help, stop
        stop texting me, stop by the office instead | Stop for the love of God
        dim mwy | peidiwch | stopiwch | tynnwch fi oddi ar y rhestr | tynnwch fi o'r rhestr
        rhif anghywir | gadewch lonydd i mi | dad-danysgrifio | Dw i ddim eisiau mwy o negeseuon
    """,
    START: "START | start. | Yes | YES! | unstop | Yes please | please start | 'Start' | cychwyn",
    HELP: "HELP | help? | Info please | cymorth | HELP!",
    DOUBTFUL: """
        not interested | no thanks | no | why are you texting me | stop it | enough | cancel it
        I've moved | she has died | My mum passed away last year | who is this | \U0001f44e
        Stop Keithley | you lot again, text me never | dim diolch | mae hi wedi marw | pwy yw hwn
    """,
    OTHER: """
        I'll stop by later | I'll stop by tomorrow | don't stop | bus stop | non-stop | full stop
        at the end of the day | the weekend | quit smoking | cancel culture | Stop Brexit
        will you cancel the bin charges? | stop the closure of the library! | yes I'll vote
        Yes I will be there | No to the bypass! | yes count me in | start? | yes? | starting when
        Please keep texting me | please don't take me off the list | step | top | \U0001f44d
        the council should withdraw planning permission | happy to stick it in my window
        wrong number of bins | rhaid stopio'r toriadau | dim mwy o doriadau | peidiwch \u00e2 phoeni
    """,
}
NAMED = [
    (meaning, text.strip())
    for meaning, texts in CASES.items()
    for line in texts.splitlines()
    for text in line.split(" | ")
    if text.strip()
]


@pytest.mark.parametrize(("meaning", "text"), NAMED, ids=[f"{m}:{t}" for m, t in NAMED])
def test_a_reply_means_what_a_person_would_say(meaning: ReplyMeaning, text: str) -> None:
    assert recognise(text).meaning is meaning


WORDS = ["i", "will", "ok", "not", "do", "see you", "maybe", "\U0001f44d", "no", "hi", "it", "?"]


@given(st.sampled_from(["yes", "Start", "UNSTOP"]), st.lists(st.sampled_from(WORDS), min_size=1))
def test_no_word_beside_it_leaves_a_start_a_start(word: str, others: list[str]) -> None:
    assert recognise(" ".join([word, *others])).meaning is not START
    assert recognise(" ".join([*others, word])).meaning is not START


def test_links_say_nothing() -> None:
    assert recognise("See https://vote.example/unsubscribe for more").meaning is OTHER


def test_a_request_over_several_lines_is_one() -> None:
    assert recognise("Hello\ntake\nme\noff\nyour list").meaning is STOP


def test_a_long_line_goes_on_in_the_next_one() -> None:
    wrapped = "I have been a member for thirty years and I say we should please stop"
    assert recognise(f"{wrapped}\nthe bypass before it ruins the village").meaning is OTHER


def test_the_providers_stop_is_believed() -> None:
    assert recognise("ARRET", opt_out_type="STOP") == recognise("anything", opt_out_type="stop")
    assert recognise("ARRET", opt_out_type="STOP").meaning is STOP


@pytest.mark.parametrize(("said", "meaning"), [("START", START), ("Help", HELP), ("x", OTHER)])
def test_the_providers_other_words_are_believed(said: str, meaning: ReplyMeaning) -> None:
    assert recognise("ALLONS", opt_out_type=said).meaning is meaning


@pytest.mark.parametrize("said", ["START", "HELP", "", "unheard of"])
def test_a_plain_stop_wins_over_what_the_provider_made_of_it(said: str) -> None:
    assert recognise("stop texting me", opt_out_type=said).meaning is STOP


@pytest.mark.parametrize(
    ("body", "meaning"),
    [
        *[(word, STOP) for word in ("STOP", "StopAll", "unsubscribe", "CANCEL", "End", "QUIT")],
        *[(word, STOP) for word in ("revoke", "OPTOUT", "\tStop\r\n")],
        *[(word, START) for word in ("START", "yes", "UnStop")],
        *[(word, HELP) for word in ("HELP", "info", " help\n")],
        *[(text, None) for text in ("STOP PLEASE", "Stop.", "OPT OUT", "stop!", "", "x" * 10_000)],
    ],
)
def test_the_providers_own_list_matches_single_words(
    body: str, meaning: ReplyMeaning | None
) -> None:
    assert exact_keyword(body) is meaning


def test_every_word_of_the_providers_list_means_the_same_here() -> None:
    for word in keywords._BY_WORD:
        assert recognise(word).meaning is exact_keyword(word)


@pytest.mark.parametrize("slip", ["stpo", "sto", "stopp", "atop", "step", "st\u00f3p", "stoppage"])
def test_a_slip_for_stop_is_one_letter(slip: str) -> None:
    assert is_slip_for_stop(slip) == (slip in {"stpo", "sto", "stopp"})


def test_a_rule_says_nothing_of_the_person() -> None:
    names = {"provider", "exact", "sign", "slip", "stop-and-message", "stop-unexplained", "none"}
    names |= set(rules.stops()) | set(rules.stops_alone())
    names |= set(rules.doubts()) | set(rules.doubts_alone())
    assert {j.rule for j in JUDGED} <= names
    assert len({j.rule for j in JUDGED}) > 20


# The labelled set


def test_the_labelled_set_is_large_and_mixed() -> None:
    labels = Counter(reply.label for reply in LABELLED)
    assert len(LABELLED) >= 1_000
    assert set(labels) == set(ReplyMeaning)
    assert labels[STOP] <= len(LABELLED) / 2
    assert sum(reply.language == "cy" for reply in LABELLED) >= 100
    assert len({reply.id for reply in LABELLED}) == len(LABELLED)
    parts = Counter(reply.part for reply in LABELLED)
    assert parts["held"] >= 0.3 * len(LABELLED)
    assert {r.part for r in LABELLED if r.first_look is not None} == {"held"}


@pytest.mark.parametrize("part", ["tune", "held"])
def test_hardly_a_stop_is_missed_and_hardly_another_reply_is_taken_for_one(part: str) -> None:
    found = figures.count([j for j in JUDGED if j.reply.part == part])
    assert found.caught / found.stops >= 0.99
    assert found.caught + found.held == found.stops
    assert found.caught / found.said_stop >= 0.98
    assert found.doubtful_kept_back / found.doubtful >= 0.98
    assert found.others_held / found.others <= 0.03
    assert found.others_stopped / found.others <= 0.01
    assert found.false_starts == 0


def test_the_page_says_what_the_set_says() -> None:
    assert figures.table(LABELLED) in PAGE


def test_the_page_lists_every_miss() -> None:
    missed = figures.misses(figures.at_first_look(LABELLED)) + figures.misses(JUDGED)
    assert [j.reply.id for j in missed if f"| {j.reply.id} |" not in PAGE] == []


def test_the_figures_are_printed_with_the_misses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "replies.csv"
    header = "id,part,label,language,first_look,text\n"
    file.write_text(f"{header}t1,tune,other,en,,stop\nh1,held,stop,en,other,Stop.\n", "utf-8")
    figures.main([str(file)])
    printed = capsys.readouterr().out
    assert "| recall of STOP | 0/0 | 0/1 (0.0%) | 1/1 (100.0%) |" in printed
    assert "t1 other taken for stop (exact): 'stop'" in printed


def test_a_set_without_stops_has_no_shares() -> None:
    assert "0/0" in figures.table([])


# What holds for any text

PADDING = st.text(
    alphabet=" \t\n.,!?;:\"'()-_*\u2026\u201d\u2019\u00a0\u200b\U0001f600\u2764\ufe0f", max_size=6
)
SPACES = st.sampled_from([" ", "  ", "\t", "\u00a0", " \n", "\r\n"])


@given(st.sampled_from(CAUGHT), PADDING, PADDING)
def test_padding_leaves_a_stop_a_stop(text: str, before: str, after: str) -> None:
    assert recognise(f"{before} {text} {after}").meaning is STOP


@given(st.sampled_from(CAUGHT), st.sampled_from([str.upper, str.lower, str.title]))
def test_case_leaves_a_stop_a_stop(text: str, change: Callable[[str], str]) -> None:
    assert recognise(change(text.replace("'", "\u2019"))).meaning is STOP


@given(st.sampled_from(CAUGHT), SPACES)
def test_other_space_leaves_a_stop_a_stop(text: str, space: str) -> None:
    assert recognise(text.replace(" ", space)).meaning is STOP


@given(st.sampled_from(CAUGHT), st.sampled_from([t for m, t in NAMED if m is OTHER]))
def test_a_stop_wins_over_what_else_is_said(text: str, other: str) -> None:
    alone = {"keyword", "exact", "slip", "sign", "welsh-stop"}
    if recognise(text).rule not in alone:
        assert recognise(f"{other}. {text}").meaning is STOP


@given(st.text(st.characters()), st.none() | st.text(max_size=8))
def test_no_text_is_too_strange(body: str, said: str | None) -> None:
    answer = recognise(body, opt_out_type=said)
    assert answer.meaning in ReplyMeaning
    assert exact_keyword(body) in {None, STOP, START, HELP}


HOSTILE = [
    "stop " * 20_000,
    "please " * 15_000,
    "dont want to " * 8_000,
    "a" * 100_000,
    "no no no. " * 10_000,
    "\n" * 100_000 + "stop",
    " stop\n" * 17_000,
    "\ufdfa" * 100_000,
    "s t o p " * 12_500,
    "*" * 100_000,
    "'r" * 50_000,
]


def steps(work: Callable[[], object]) -> int:
    """Return how many functions were called, our own and Python's."""
    count = 0

    def called(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("body", HOSTILE, ids=[repr(body[:8]) for body in HOSTILE])
def test_a_huge_body_is_no_more_work_than_a_page(body: str) -> None:
    recognise("to compile the rules")
    read = plain(body)
    assert len(read.whole) <= 4 * READ_CHARACTERS
    assert sum(map(len, read.clauses)) <= 8 * READ_CHARACTERS
    assert steps(lambda: recognise(body)) < 50 * READ_CHARACTERS
    assert recognise(body) == recognise(body.lstrip()[:READ_CHARACTERS])


def repeats(parsed: Any, depth: int = 0) -> Iterator[tuple[int, int, bool]]:
    """Return (depth in other repeats, upper bound, is of one character) of every repeat."""
    for operation, argument in parsed:
        name = str(operation)
        if "REPEAT" in name:
            _, most, inner = argument
            if most > 1:
                yield depth, int(most), [str(op) for op, _ in inner] == ["IN"]
            yield from repeats(inner, depth + (most > 1))
        elif name == "SUBPATTERN":
            yield from repeats(argument[3], depth)
        elif name == "BRANCH":
            for branch in argument[1]:
                yield from repeats(branch, depth)


def test_no_phrase_repeats_without_end_or_in_itself() -> None:
    parser = importlib.import_module("re._parser")
    tables = [rules.stops(), rules.stops_alone(), rules.doubts(), rules.doubts_alone()]
    every = [rules.other_uses(), *(phrases for table in tables for phrases in table.values())]
    found = [r for phrases in every for r in repeats(parser.parse(phrases._expression.pattern))]
    assert len(found) > 100
    for depth, most, of_one_character in found:
        # `[^ _]+` is exactly one word, because a space follows it.
        assert most <= 15 or of_one_character
        assert depth == 0 or (depth == 1 and of_one_character)


def test_every_group_of_words_is_used_and_plain() -> None:
    for name, words in GROUPS.items():
        assert words, name
        assert all(word == word.lower() and "'" not in word for word in words), name
