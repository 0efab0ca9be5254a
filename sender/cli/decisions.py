"""How decisions on one address are shown: each rule, what it saw, the paragraph, the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sender.cli.output import Facts, Listing, Output, Part
from sender.consent.policy import Decision

_COLUMNS = ("Rule", "What was looked at", "Outcome", "Guidance")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One controller's decision, as it is told.

    Attributes:
        controller: its slug.
        decision: with the rules that led to it.
        allowed: the words for a yes, e.g. `may write`.
        refused: the words for a no.
        more: what else the document says of it.
    """

    controller: str
    decision: Decision
    allowed: str
    refused: str
    more: dict[str, Any]


def show_decisions(output: Output, verdicts: Sequence[Verdict]) -> None:
    """Print the decisions, one after the other."""
    parts = [part for one in verdicts for part in _parts(one)]
    output.show([_document(one) for one in verdicts], *parts)


def _document(one: Verdict) -> dict[str, Any]:
    decision = one.decision
    return {
        "controller": one.controller,
        **one.more,
        "allowed": decision.allowed,
        "reason": decision.refusal,
        "sentence": decision.sentence,
        "paragraph": decision.paragraph,
        "consent_event": decision.consent_event_id,
        "about_to_go_stale": decision.about_to_go_stale,
        "steps": decision.steps,
    }


def _parts(one: Verdict) -> list[Part]:
    decision = one.decision
    rows = [
        [step.rule, step.looked_at, step.refusal or "passed", step.paragraph]
        for step in decision.steps
    ]
    said = one.allowed if decision.allowed else one.refused
    facts: list[tuple[str, object]] = [
        (f"{one.controller} {said}", decision.sentence),
        ("Consent relied on", decision.consent_event_id),
    ]
    if decision.about_to_go_stale:
        facts.append(("Note", "This consent is about to go stale."))
    return [Listing(list(_COLUMNS), rows, title=one.controller), Facts(facts)]
