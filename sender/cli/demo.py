"""`sender demo`: the whole main job on sample data."""

from pathlib import Path
from typing import Annotated

import typer

from sender.cli.common import JsonFlag, examples
from sender.cli.output import Output

app = typer.Typer(add_completion=False)


@app.command(epilog=examples("sender demo --into demo"))
def demo(
    into: Annotated[Path, typer.Option("--into", help="The folder to work in.")] = Path("demo"),
    as_json: JsonFlag = False,
) -> None:
    """Set up a party family with 5,000 people and send two campaigns into an outbox folder."""
    from sender.cli.campaign_views import report_view  # noqa: PLC0415  # heavy rooms, lazily
    from sender.demo.run import run_demo  # noqa: PLC0415  # see above

    out = Output(as_json=as_json)
    result = run_demo(into, out.note)
    views = [report_view(report) for report in result.reports]
    parts = [part for view in views for part in view.parts]
    if result.sent_before:
        names = " and ".join(result.sent_before)
        parts.append(f"Sent by an earlier run already, so nobody was written to again: {names}.")
    campaign = into / "campaigns" / "library-news.toml"
    parts += [
        f"Look at the messages:  {into}/outbox/index.html",
        f"Try commands on it:    . {into}/environment",
        f"                       sender explain n00001@example.org --campaign {campaign}",
        "                       sender campaign status",
        f"See an opt-out page:   sender web, then http://127.0.0.1:8080{result.opt_out_path}",
    ]
    out.show([view.document for view in views], *parts)
