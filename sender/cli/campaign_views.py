"""How campaigns, plans and runs look in a terminal and as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sender.cli.output import Facts, Listing, Output, Part, mapping_rows
from sender.rendering.message import RenderedMessage, RenderedSms
from sender.vocabulary import DeliveryState, Reason

if TYPE_CHECKING:
    from sender.campaigns.check import CheckReport
    from sender.campaigns.definition import CampaignDefinition
    from sender.campaigns.overview import RunLine
    from sender.campaigns.plan import LaunchPlan, Size
    from sender.campaigns.preview import Preview
    from sender.campaigns.report import RunReport
    from sender.delivery.runs import Counts
    from sender.rendering.kind_lint import Flag


@dataclass(frozen=True, slots=True)
class View:
    """An answer: the document for scripts, and the parts for people."""

    document: Any
    parts: list[Part]

    def show(self, out: Output, *more: Part) -> None:
        """Print it."""
        out.show(self.document, *self.parts, *more)


_LONGEST_SHOWN = 1_200


def plan_view(plan: "LaunchPlan") -> View:
    """Return what a launch would do."""
    document = {
        "campaign": plan.campaign,
        "controller": plan.controller,
        "run": plan.run_id,
        "continues": plan.continues,
        "recipients": plan.recipients,
        "refused": _words(plan.refused),
        "source_refused": _words(plan.source_refused),
        "segments": plan.size.segments,
        "cost": None if plan.cost is None else str(plan.cost),
        "provider": plan.provider,
        "account": plan.account,
        "sender": plan.sender,
        "rate_per_second": plan.rate_per_second,
        "finishes_at": plan.finishes_at,
        "warnings": list(plan.warnings),
    }
    audience = plan.recipients + plan.refused.total() + plan.source_refused.total()
    facts = Facts(
        [
            ("Campaign", f"{plan.campaign} ({plan.controller})"),
            ("Run", f"{plan.run_id} (carried on)" if plan.continues else plan.run_id),
            ("Audience", audience),
            ("To be written to", plan.recipients),
            ("Text message parts", _segments(plan.size)),
            ("Cost", document["cost"]),
            ("Goes out through", f"{plan.provider} ({plan.account}), from {plan.sender}"),
            ("Rate", f"{plan.rate_per_second:,.0f} a second; takes {_span(plan.duration)}"),
            ("Done at about", plan.finishes_at),
        ]
    )
    parts: list[Part] = [facts, _refused(plan.refused + plan.source_refused)]
    if plan.size.sample is not None:
        parts += ["The first message:", *message_text(plan.size.sample).parts]
    return View(document, [*parts, *[f"Warning: {warning}" for warning in plan.warnings]])


def message_text(message: RenderedMessage) -> View:
    """Return one message as text; its HTML is in the document only."""
    document = asdict(message)
    pairs: list[tuple[str, object]]
    if isinstance(message, RenderedSms):
        count = message.segments
        pairs = [
            ("From", message.sender),
            ("To", message.to_number),
            ("Parts", f"{count.parts} ({count.encoding}, {count.units} units)"),
        ]
        body = message.body
    else:
        pairs = [
            ("From", f"{message.from_name} <{message.from_address}>"),
            ("To", message.to_address),
            ("Reply-To", message.reply_to),
            ("Subject", message.subject),
            *message.headers,
        ]
        body = message.text
    cut = body if len(body) <= _LONGEST_SHOWN else f"{body[:_LONGEST_SHOWN].rstrip()} …"
    return View(document, [Facts(pairs), cut])


def preview_view(preview: "Preview") -> View:
    """Return one person's message, and for SMS what it amounts to over the audience."""
    view = message_text(preview.message)
    size = preview.size
    if size is None or not size.segments:
        return view
    cost = None if preview.cost is None else str(preview.cost)
    document = view.document | {"audience_segments": size.segments, "audience_cost": cost}
    over = Facts([("Parts over the audience", _segments(size)), ("Cost", cost)])
    return View(document, [*view.parts, over])


def check_view(definition: "CampaignDefinition", report: "CheckReport") -> View:
    """Return what a check found."""
    document = {
        "campaign": definition.name,
        "errors": [{"problem": error.problem, "remedy": error.remedy} for error in report.errors],
        "warnings": list(report.warnings),
        "recipients": report.recipients,
        "refused": _words(report.refused),
        "segments": report.size.segments if report.size else None,
        "cost": None if report.cost is None else str(report.cost),
        "shapes": report.shapes,
        "links": report.links,
    }
    facts = Facts(
        [
            ("Campaign", f"{definition.name} ({definition.controller})"),
            ("May be written to", report.recipients),
            ("Kinds of recipients tried", report.shapes),
            ("Text message parts", _segments(report.size) if report.size else None),
            ("Cost", document["cost"]),
            ("Links fetched", report.links or None),
        ]
    )
    parts: list[Part] = [facts]
    if report.recipients is not None:
        parts.append(_refused(report.refused))
    parts += [f"Error: {error}" for error in report.errors]
    parts += [f"Warning: {warning}" for warning in report.warnings]
    return View(document, [*parts, *([] if report.errors else ["No errors."])])


def report_view(report: "RunReport") -> View:
    """Return a run in numbers."""
    counts = report.counts
    document = {
        "run": report.run_id,
        "campaign": report.campaign,
        "controller": report.controller,
        "state": report.state,
        "because": report.because,
        "audience": counts.planned + counts.source_refusals.total() + report.not_planned,
        "not_planned": report.not_planned,
        "people": _words(counts.by_state),
        "skipped": _words(counts.by_reason),
        "source_refused": _words(counts.source_refusals),
        "versions": dict(sorted(report.versions.items())),
        "opted_out": report.opted_out,
        "complained": report.complained,
        "bounced": report.bounced,
        "segments": report.segments,
        "domains": dict(report.domains),
        "started_at": report.started_at,
        "ended_at": report.ended_at,
    }
    facts = Facts(
        [
            ("Run", f"{report.run_id}: {report.campaign} ({report.controller})"),
            ("State", report.state),
            ("Because", report.because),
            ("Audience", document["audience"]),
            ("Handed over", counts.handed_over),
            ("Unknown", counts.unknown or None),
            ("Still pending", counts.pending or None),
            ("Not planned yet", report.not_planned or None),
            ("Opted out", report.opted_out or None),
            ("Complained", report.complained or None),
            ("Bounced", report.bounced or None),
            ("Text message parts", report.segments or None),
            ("Started", report.started_at),
            ("Ended", report.ended_at),
        ]
    )
    parts: list[Part] = [facts, _funnel(counts)]
    if report.domains:
        parts.append(Listing(["Domain", "Messages"], list(report.domains)))
    return View(document, parts)


def run_rows(lines: Sequence["RunLine"]) -> Listing:
    """Return runs as a table, one line each."""
    rows = [
        [
            line.run_id,
            line.campaign,
            line.controller,
            line.state,
            line.counts.handed_over,
            line.counts.pending,
            line.counts.by_state[DeliveryState.SKIPPED],
            line.counts.by_state[DeliveryState.REJECTED],
            line.counts.unknown,
            line.because,
        ]
        for line in lines
    ]
    columns = [
        "Run", "Campaign", "Controller", "State", "Handed over", "Pending", "Skipped", "Rejected",
        "Unknown", "Because",
    ]  # fmt: skip
    return Listing(columns, rows, empty="No runs yet.")


def _funnel(counts: "Counts") -> Listing:
    from sender.consent.policy import RULES  # noqa: PLC0415  # only where a report is shown

    rows: list[list[object]] = []
    for state, number in mapping_rows(counts.by_state):
        if state != DeliveryState.SKIPPED:
            rows.append([state, "", number, ""])
    for reason, number in mapping_rows(counts.by_reason):
        rule = RULES.get(Reason(reason))
        rows.append(["skipped", reason, number, rule.paragraph if rule else ""])
    for reason, number in mapping_rows(counts.source_refusals):
        rows.append(["not taken", reason, number, ""])
    return Listing(["State", "Reason", "People", "Guidance"], rows)


def _refused(refused: Counter[Reason]) -> Listing:
    from sender.consent.policy import RULES  # noqa: PLC0415  # only where a plan is shown

    rows = [
        [reason, number, RULES[Reason(reason)].sentence if Reason(reason) in RULES else "",
         RULES[Reason(reason)].paragraph if Reason(reason) in RULES else ""]
        for reason, number in mapping_rows(refused)
    ]  # fmt: skip
    return Listing(["Refused", "People", "Why", "Guidance"], rows, empty="Nobody is refused.")


def flags_table(flags: "Sequence[Flag]") -> Listing:
    """Return what an approval lifts."""
    rows = [[flag.element.value, flag.words] for flag in flags]
    return Listing(
        ["Flagged", "Words"], rows, title="What this approval lifts", empty="Nothing is flagged."
    )


def flag_rows(flags: "Sequence[Flag]") -> list[dict[str, str]]:
    """Return the same for scripts."""
    return [{"element": flag.element.value, "words": flag.words} for flag in flags]


def _segments(size: "Size") -> str | None:
    if not size.segments:
        return None
    return f"{size.segments:,} (at most {size.most_segments} a message; {size.rendered:,} rendered)"


def _span(duration: timedelta) -> str:
    seconds = round(duration.total_seconds())
    if seconds < 1:
        return "less than a second"
    return str(timedelta(seconds=seconds))


def _words(counts: "Counter[Any]") -> dict[str, int]:
    return {str(word.value): number for word, number in sorted(counts.items())}
