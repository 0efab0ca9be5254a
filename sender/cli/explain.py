"""`sender explain`: the decision on one address, as a trace."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sender.cli.common import JsonFlag, examples, opened
from sender.cli.output import Facts, Listing, Output

app = typer.Typer(add_completion=False)


@app.command(epilog=examples("sender explain ada@example.org --campaign spring.toml"))
def explain(
    address: Annotated[str, typer.Argument(help="An e-mail address or number.")],
    campaign: Annotated[Path, typer.Option("--campaign", help="The campaign file.")],
    as_json: JsonFlag = False,
) -> None:
    """Explain whether a campaign may write to an address: each rule, what it saw, the paragraph."""
    from sender.campaigns.definition import load_campaign  # noqa: PLC0415  # heavy rooms, lazily
    from sender.campaigns.explain import explain as run_explain  # noqa: PLC0415  # see above

    with opened() as context:
        explanations = run_explain(context, load_campaign(campaign), address)
    document = [
        {
            "controller": one.controller,
            "allowed": one.decision.allowed,
            "reason": one.decision.refusal,
            "sentence": one.decision.sentence,
            "paragraph": one.decision.paragraph,
            "consent_event": one.decision.consent_event_id,
            "about_to_go_stale": one.decision.about_to_go_stale,
            "steps": one.decision.steps,
        }
        for one in explanations
    ]
    parts: list[Any] = []
    for one in explanations:
        rows = [
            [step.rule, step.looked_at, step.refusal or "passed", step.paragraph]
            for step in one.decision.steps
        ]
        parts.append(Listing(["Rule", "What was looked at", "Outcome", "Guidance"], rows,
                             title=one.controller))  # fmt: skip
        verdict = "may write" if one.decision.allowed else "may not write"
        pairs: list[tuple[str, object]] = [
            (f"{one.controller} {verdict}", one.decision.sentence),
            ("Consent relied on", one.decision.consent_event_id),
        ]
        if one.decision.about_to_go_stale:
            pairs.append(("Note", "This consent is about to go stale."))
        parts.append(Facts(pairs))
    Output(as_json=as_json).show(document, *parts)
