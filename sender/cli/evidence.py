"""`sender evidence`: why somebody was written to, what was true on a day, on what a run relied."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from sender.cli.common import JsonFlag, examples, opened, read_address, read_time
from sender.cli.decisions import Verdict, show_decisions
from sender.cli.output import Facts, Listing, Output, Part
from sender.errors import UsageError

if TYPE_CHECKING:
    from sender.evidence.records import Evidence

app = typer.Typer(add_completion=False)

_UTC = ZoneInfo("UTC")


@app.command(
    epilog=examples(
        "sender evidence ann@example.org -c riverside --html ann.html",
        "sender evidence ann@example.org -c riverside --json",
        "sender evidence ann@example.org -c riverside --at 2026-05-07 --purpose campaign-news",
        "sender evidence ann@example.org --at 2026-05-07T18:30 --campaign spring.toml",
        "sender evidence --run 7 --by notice,source",
    )
)
def evidence(
    address: Annotated[str, typer.Argument(help="An e-mail address or number.")] = "",
    controller: Annotated[
        str, typer.Option("--controller", "-c", help="The controller, by its slug.")
    ] = "",
    html: Annotated[Path | None, typer.Option(help="Write a page to this file.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write a PDF to this file.")] = None,
    at: Annotated[
        str, typer.Option(help="Decide again as recorded at this time (UTC, or with an offset).")
    ] = "",
    campaign: Annotated[Path | None, typer.Option(help="With --at: the campaign file.")] = None,
    purpose: Annotated[str, typer.Option(help="With --at: the purpose, by its slug.")] = "",
    run: Annotated[int | None, typer.Option(help="Count what this run relied on.")] = None,
    by: Annotated[
        str, typer.Option(help="With --run: notice, source, method, kind, batch, state.")
    ] = "notice,source",
    json_output: JsonFlag = False,
) -> None:
    """Show why somebody was written to: messages, consents, decisions and opt-outs."""
    output = Output(as_json=json_output)
    if run is not None:
        _require(not address and not at, "--run counts a whole run, without an address.")
        return _show_run(output, run, by)
    _require(bool(address), "Whom is it about?")
    if at:
        _require(html is None and pdf is None, "--at has no page.")
        return _show_past(output, address, at, controller, purpose, campaign)
    _require(bool(controller), "Whose evidence? Evidence belongs to one controller.")
    return _show_evidence(output, address, controller, html, pdf)


def _require(sound: bool, problem: str) -> None:
    if not sound:
        raise UsageError(problem, remedy="See: sender evidence --help")


def _show_run(output: Output, run: int, by: str) -> None:
    from sender.api.evidence import evidence_of_run  # noqa: PLC0415  # heavy rooms, lazily

    with opened() as context:
        found = evidence_of_run(context, run, tuple(by.replace(" ", "").split(",")))
    rows = [[one.controller, *one.by, one.messages] for one in found.bases]
    columns = ["Controller", *[name.capitalize() for name in found.by], "Messages"]
    document = {
        "run": found.run,
        "sent": found.sent,
        "held_back": found.held_back,
        "bases": [
            {
                "controller": one.controller,
                **dict(zip(found.by, one.by, strict=True)),
                "messages": one.messages,
            }
            for one in found.bases
        ],
    }
    facts = Facts([("Run", run), ("Sent", found.sent), ("Held back", found.held_back)])
    output.show(document, facts, Listing(columns, rows, empty="No message went out."))


def _show_past(
    output: Output, raw: str, at: str, controller: str, purpose: str, campaign: Path | None
) -> None:
    from sender.api.evidence import (  # noqa: PLC0415  # heavy rooms, lazily
        campaign_decisions_at,
        decision_at,
    )
    from sender.campaigns.definition import load_campaign  # noqa: PLC0415  # see above
    from sender.consent.history import Subject  # noqa: PLC0415  # see above

    channel, address = read_address(raw)
    moment = read_time(at, _UTC, option="--at")
    with opened() as context:
        if moment > context.clock.now():
            raise UsageError("--at lies in the future.", remedy="Name a time that has passed.")
        if campaign is not None:
            definition = load_campaign(campaign)
            _require(definition.channel is channel, f"The campaign goes by {definition.channel}.")
            found = campaign_decisions_at(context, definition, address, moment)
        else:
            _require(bool(controller and purpose), "--at needs --campaign, or -c and --purpose.")
            subject = Subject(controller, channel, address)
            found = [decision_at(context, subject, purpose, moment)]
    verdicts = [
        Verdict(
            one.controller,
            one.decision,
            "might write then",
            "might not write then",
            {"purpose": one.purpose},
        )
        for one in found
    ]
    show_decisions(output, verdicts)


def _show_evidence(
    output: Output, raw: str, controller: str, html: Path | None, pdf: Path | None
) -> None:
    from sender.api.evidence import evidence_on  # noqa: PLC0415  # heavy rooms, lazily
    from sender.consent.history import Subject  # noqa: PLC0415  # see above
    from sender.controllers.lookup import find_controller  # noqa: PLC0415  # see above
    from sender.controllers.retention_policy import load_limitation  # noqa: PLC0415  # see above
    from sender.evidence.forms import evidence_document  # noqa: PLC0415  # see above

    channel, address = read_address(raw)
    with opened() as context:
        found = evidence_on(context, Subject(controller, channel, address))
        with context.store.read() as session:
            years = load_limitation(session, context.settings.limitation_years)
            own = years.of_controller[find_controller(session, controller).id]
    _write_pages(found, html, pdf)
    output.show(evidence_document(found, limitation_years=own), *_tables(found))
    for path in (html, pdf):
        if path is not None:
            output.note(f"Written: {path}. It holds personal data.")


def _write_pages(found: "Evidence", html: Path | None, pdf: Path | None) -> None:
    from sender.evidence.page import evidence_page, write_private  # noqa: PLC0415  # Jinja, lazily
    from sender.evidence.pdf import write_pdf  # noqa: PLC0415  # see above

    if html is not None:
        write_private(html, evidence_page(found))
    if pdf is not None:
        write_pdf(evidence_page(found), pdf)


def _tables(found: "Evidence") -> list[Part]:
    messages = [
        [
            one.dispatched_at,
            f"{one.campaign} #{one.run_number}",
            one.reason or one.state,
            [decision.relied_on for decision in one.decisions if decision.relied_on],
            all(decision.agrees for decision in one.decisions) if one.decisions else None,
        ]
        for one in found.messages
    ]
    consents = [
        [one.event, one.occurred_at, one.kind, one.purpose, one.method, one.source,
         one.wording.notice if one.wording else None]
        for one in found.consents
    ]  # fmt: skip
    blocks = [
        [one.took_effect_at, one.cause, one.act, one.channel, one.purpose, one.source]
        for one in found.opt_outs
    ]
    return [
        *found.changes,
        *found.gone,
        Listing(["Sent", "Run", "State", "Consent", "Agrees"], messages, title="Messages"),
        Listing(["Event", "When", "What", "Purpose", "How", "Where", "Notice"], consents,
                title="Consent and refusals"),
        Listing(["Took effect", "Cause", "Act", "Channel", "Purpose", "By"], blocks,
                title="Opt-outs and other blocks"),
    ]  # fmt: skip
