"""`sender explain`: the decision on one address, as a trace."""

from pathlib import Path
from typing import Annotated

import typer

from sender.cli.common import JsonFlag, examples, opened
from sender.cli.decisions import Verdict, show_decisions
from sender.cli.output import Output

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
    verdicts = [
        Verdict(one.controller, one.decision, "may write", "may not write", {})
        for one in explanations
    ]
    show_decisions(Output(as_json=as_json), verdicts)
