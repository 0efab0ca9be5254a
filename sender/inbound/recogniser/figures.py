"""How well the recogniser does on labelled replies: `python -m …figures replies.csv` prints it."""

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sender.inbound.recogniser.decision import recognise
from sender.vocabulary import ReplyMeaning

_KEEPS_BACK = frozenset({ReplyMeaning.STOP, ReplyMeaning.DOUBTFUL})


@dataclass(frozen=True, slots=True)
class LabelledReply:
    """One row of the labelled set: what was written, and what a person makes of it.

    Attributes:
        id: its name in reports.
        part: `tune` if rules were written with it in view, `held` if not.
        label: what a person makes of it.
        language: `en` or `cy`.
        first_look: what the rules made of a held-out reply when they first saw it.
        text: what was written.
    """

    id: str
    part: str
    label: ReplyMeaning
    language: str
    first_look: ReplyMeaning | None
    text: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A labelled reply with what the recogniser made of it, and by which rule."""

    reply: LabelledReply
    meaning: ReplyMeaning
    rule: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts over some labelled replies.

    Attributes:
        replies: how many there are.
        stops: how many are labelled STOP.
        caught: of those, how many were recognised as STOP.
        held: of those, how many as DOUBTFUL; they hold messages back until a person has looked.
        said_stop: how many replies of any label were recognised as STOP.
        others: how many are labelled OTHER.
        others_held: of those, how many were recognised as DOUBTFUL.
        others_stopped: of those, how many as STOP.
        doubtful: how many are labelled DOUBTFUL.
        doubtful_kept_back: of those, how many were recognised as DOUBTFUL or STOP.
        false_starts: how many that are not START were recognised as START.
    """

    replies: int
    stops: int
    caught: int
    held: int
    said_stop: int
    others: int
    others_held: int
    others_stopped: int
    doubtful: int
    doubtful_kept_back: int
    false_starts: int


def read_labelled(path: Path) -> list[LabelledReply]:
    """Return the rows of a labelled set (id, part, label, language, first_look, text; UTF-8)."""
    with path.open(encoding="utf-8", newline="") as file:
        return [_labelled(row) for row in csv.DictReader(file)]


def _labelled(row: Mapping[str, str]) -> LabelledReply:
    return LabelledReply(
        id=row["id"],
        part=row["part"],
        label=ReplyMeaning(row["label"]),
        language=row["language"],
        first_look=ReplyMeaning(row["first_look"]) if row["first_look"] else None,
        text=row["text"],
    )


def judge(replies: Iterable[LabelledReply]) -> list[Judged]:
    """Return what the recogniser makes of each."""
    answers = ((reply, recognise(reply.text)) for reply in replies)
    return [Judged(reply, answer.meaning, answer.rule) for reply, answer in answers]


def at_first_look(replies: Iterable[LabelledReply]) -> list[Judged]:
    """Return what the recogniser made of the held-out ones when it first saw them."""
    return [
        Judged(reply, reply.first_look, "first look")
        for reply in replies
        if reply.first_look is not None
    ]


def count(judged: Sequence[Judged]) -> Figures:
    """Return the counts."""

    def labelled(label: ReplyMeaning, *meanings: ReplyMeaning) -> int:
        return sum(j.reply.label is label and j.meaning in meanings for j in judged)

    stop, doubtful, other = ReplyMeaning.STOP, ReplyMeaning.DOUBTFUL, ReplyMeaning.OTHER
    return Figures(
        replies=len(judged),
        stops=labelled(stop, *ReplyMeaning),
        caught=labelled(stop, stop),
        held=labelled(stop, doubtful),
        said_stop=sum(j.meaning is stop for j in judged),
        others=labelled(other, *ReplyMeaning),
        others_held=labelled(other, doubtful),
        others_stopped=labelled(other, stop),
        doubtful=labelled(doubtful, *ReplyMeaning),
        doubtful_kept_back=labelled(doubtful, *_KEEPS_BACK),
        false_starts=sum(
            j.meaning is ReplyMeaning.START and j.reply.label is not ReplyMeaning.START
            for j in judged
        ),
    )


def table(replies: Sequence[LabelledReply]) -> str:
    """Return the figures as the Markdown table of docs/stop-recogniser.md."""
    judged = judge(replies)
    columns = [
        count([j for j in judged if j.reply.part == "tune"]),
        count(at_first_look(replies)),
        count([j for j in judged if j.reply.part == "held"]),
    ]
    head = "| | tuned on | held out, at first look | held out, now |\n|---|---|---|---|"
    rows = zip(*map(_cells, columns), strict=True)
    return "\n".join([head, *(_line(row) for row in rows)])


def _cells(figures: Figures) -> list[tuple[str, str]]:
    f = figures
    return [
        ("replies", str(f.replies)),
        ("stops among them", str(f.stops)),
        ("recall of STOP", _share(f.caught, f.stops)),
        ("stops that keep messages back (STOP or held)", _share(f.caught + f.held, f.stops)),
        ("precision of STOP", _share(f.caught, f.said_stop)),
        ("doubtful replies that keep messages back", _share(f.doubtful_kept_back, f.doubtful)),
        ("everyday replies held for a person", _share(f.others_held, f.others)),
        ("everyday replies taken for a stop", _share(f.others_stopped, f.others)),
        ("replies wrongly taken for START", str(f.false_starts)),
    ]


def _line(cells: Sequence[tuple[str, str]]) -> str:
    return f"| {cells[0][0]} | {' | '.join(value for _, value in cells)} |"


def misses(judged: Iterable[Judged]) -> list[Judged]:
    """Return those that were not recognised as they are labelled."""
    return [j for j in judged if j.meaning is not j.reply.label]


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole} ({part / whole:.1%})" if whole else "0/0"


def main(arguments: Sequence[str]) -> None:
    """Print the figures and the misses of the labelled set that is named."""
    replies = read_labelled(Path(arguments[0]))
    lines = [table(replies), ""]
    lines += [
        f"{j.reply.id} {j.reply.label} taken for {j.meaning} ({j.rule}): {j.reply.text!r}"
        for j in misses(judge(replies))
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
