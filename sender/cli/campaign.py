"""Commands of campaigns: check, preview, test, launch, and a run's life afterwards."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sender.cli.campaign_views import (
    check_view,
    flag_rows,
    flags_table,
    plan_view,
    preview_view,
    report_view,
    run_rows,
)
from sender.cli.common import JsonFlag, YesFlag, examples, group, opened
from sender.cli.output import Output
from sender.errors import RefusedError

if TYPE_CHECKING:
    from sender.campaigns.definition import CampaignDefinition
    from sender.campaigns.launch import Launch
    from sender.context import Context
    from sender.delivery.progress import Ending, Progress

app = group("Check, launch and follow campaigns.")

FileArgument = Annotated[Path, typer.Argument(help="The campaign file.", metavar="FILE")]
RunArgument = Annotated[int, typer.Argument(help="The run's number.", metavar="RUN")]

_WATCH_EVERY_SECONDS = 1.0
AnyTimeFlag = Annotated[
    bool,
    typer.Option("--any-time", help="Send outside the sending hours too; kept in the audit trail."),
]

_INTERRUPTED = 130
"""128 + SIGINT, as shells count."""


def _load(file: Path) -> "CampaignDefinition":
    from sender.campaigns.definition import load_campaign  # noqa: PLC0415  # heavy rooms, lazily

    return load_campaign(file)


@app.command(
    epilog=examples(
        "sender campaign check spring.toml", "sender campaign check spring.toml --links"
    )
)
def check(
    file: FileArgument,
    links: Annotated[bool, typer.Option("--links", help="Fetch every fixed link.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Check the file, its filter, and its templates for every kind of recipient."""
    from sender.campaigns.check import check as run_check  # noqa: PLC0415  # see _load

    out = Output(as_json=as_json)
    definition = _load(file)
    with opened() as context:
        report = run_check(context, definition, links=links)
    check_view(definition, report).show(out)
    if report.errors and as_json:  # they stand in the document
        raise typer.Exit(1)
    if report.errors:
        number = len(report.errors)
        raise RefusedError(f"{file}: {number} {'error' if number == 1 else 'errors'} found.")


@app.command(
    epilog=examples(
        "sender campaign preview spring.toml",
        "sender campaign preview spring.toml --to ada@example.org --html spring.html",
    )
)
def preview(
    file: FileArgument,
    to: Annotated[str | None, typer.Option(help="Whose message; default: the first's.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the HTML part to this file.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what somebody who may be written to would receive; sends nothing."""
    from sender.campaigns.preview import preview as make_preview  # noqa: PLC0415  # see _load
    from sender.rendering.message import RenderedSms  # noqa: PLC0415  # see _load

    definition = _load(file)
    with opened() as context:
        made = make_preview(context, definition, to)
    message = made.message
    if html is not None:
        if isinstance(message, RenderedSms):
            raise RefusedError("A text message has no HTML part.")
        html.write_text(message.html, encoding="utf-8")
    preview_view(made).show(Output(as_json=as_json))


@app.command("test", epilog=examples("sender campaign test spring.toml --to me@example.org"))
def send_a_test(
    file: FileArgument,
    to: Annotated[str, typer.Option(help="A confirmed address on the controller's test list.")],
    field: Annotated[
        list[str] | None, typer.Option("--field", help="A template field: name=value.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Send one message, marked as a test, to a confirmed test address."""
    from sender.campaigns.test_send import send_test  # noqa: PLC0415  # see _load

    fields: dict[str, object] = dict(pair.partition("=")[::2] for pair in field or ())
    with opened() as context:
        result = send_test(context, _load(file), to, fields)
    if not result.accepted:
        why = result.because or result.ending
        raise RefusedError(f"The test was not sent (run {result.run_id}: {why}).")
    document = {"run": result.run_id, "ending": result.ending, "accepted": result.accepted}
    Output(as_json=as_json).show(document, f"Sent as a test (run {result.run_id}).")


@app.command(
    epilog=examples(
        "sender campaign approve spring.toml",
        'sender campaign approve survey.toml --reason "Asks what residents think; sells nothing"',
    )
)
def approve(
    file: FileArgument,
    reason: Annotated[
        str, typer.Option(help="Why it is what it claims to be; for research and service.")
    ] = "",
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Check a file, ask, and approve exactly this text; a changed file is approved anew."""
    from sender.campaigns.approval import look_over_for_approval  # noqa: PLC0415  # see _load

    out = Output(as_json=as_json)
    with opened() as context:
        review = look_over_for_approval(context, file)
        if not as_json:
            check_view(review.definition, review.report).show(out)
            out.show({}, flags_table(review.flags))
        out.confirm("Approve exactly this text?", yes=yes)
        approval = review.approve(reason)
    sha256 = review.definition.files.content_hash
    out.show(
        {"approval": approval, "sha256": sha256, "flags": flag_rows(review.flags)},
        f"Approved (SHA-256 {sha256.hex()}).",
    )


@app.command(
    epilog=examples(
        "sender campaign launch spring.toml --dry-run",
        "sender campaign launch spring.toml --yes",
        "sender campaign launch spring.toml --new-run",
    )
)
def launch(
    file: FileArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
    new_run: Annotated[
        bool, typer.Option("--new-run", help="Send a finished campaign to whoever was not sent it.")
    ] = False,
    now: Annotated[
        bool, typer.Option("--now", help="Send now although the file has a schedule.")
    ] = False,
    any_time: AnyTimeFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the plan, ask, and send; carries an open run of the same file on."""
    from sender.campaigns.launch import prepare_launch  # noqa: PLC0415  # see _load

    definition = _load(file)
    out = Output(as_json=as_json)
    with opened() as context:
        prepared = prepare_launch(
            context, definition, new_run=new_run, send_now=now, any_time=any_time
        )
        _carry_out(context, prepared, out, dry_run=dry_run, yes=yes)


@app.command(epilog=examples("sender campaign resume 7 --yes"))
def resume(
    run: RunArgument,
    any_time: AnyTimeFlag = False,
    yes: YesFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Carry a paused, stopped or interrupted run on; nobody is written to twice."""
    from sender.campaigns.launch import prepare_resume  # noqa: PLC0415  # see _load

    with opened() as context:
        _carry_out(
            context,
            prepare_resume(context, run, any_time=any_time),
            Output(as_json=as_json),
            dry_run=False,
            yes=yes,
        )


@app.command(epilog=examples("sender campaign status", "sender campaign status 7 --watch"))
def status(
    run: Annotated[int | None, typer.Argument(help="The run; default: the latest runs.")] = None,
    controller: Annotated[
        str | None, typer.Option("--controller", "-c", help="Only this controller's runs.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow until it ends.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say how far runs are."""
    from sender.campaigns.overview import latest_runs, run_line  # noqa: PLC0415  # see _load

    out = Output(as_json=as_json)
    with opened() as context:
        while True:
            with context.store.read() as session:
                lines = (
                    latest_runs(session, controller) if run is None else [run_line(session, run)]
                )
            out.show([line.document for line in lines], run_rows(lines))
            if not watch or all(line.over for line in lines):
                return
            context.clock.sleep(_WATCH_EVERY_SECONDS)


@app.command(epilog=examples("sender campaign pause 7"))
def pause(run: RunArgument, as_json: JsonFlag = False) -> None:
    """Let no further message start, anywhere, within a second."""
    from sender.delivery.runs import pause as pause_run  # noqa: PLC0415  # see _load

    _move(pause_run, run, as_json=as_json)


@app.command(epilog=examples("sender campaign cancel 7 --yes"))
def cancel(run: RunArgument, yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """End a run: whoever is pending is skipped for good."""
    from sender.delivery.runs import cancel as cancel_run  # noqa: PLC0415  # see _load

    Output(as_json=as_json).confirm(f"Cancel run {run} for good?", yes=yes)
    _move(cancel_run, run, as_json=as_json)


@app.command(epilog=examples("sender campaign amend 7 spring.toml"))
def amend(
    run: RunArgument, file: FileArgument, yes: YesFlag = False, as_json: JsonFlag = False
) -> None:
    """Change the text of a paused run for those still pending; shows the difference first."""
    from sender.campaigns.amend import amend as amend_run  # noqa: PLC0415  # see _load
    from sender.campaigns.amend import preview_amendment  # noqa: PLC0415  # see _load

    out = Output(as_json=as_json)
    definition = _load(file)
    with opened() as context:
        diff = preview_amendment(context, run, definition)
        if not diff:
            out.show({"run": run, "diff": ""}, "The text is the same; nothing was changed.")
            return
        out.note(diff)
        out.confirm(f"Make this the text of run {run} from now on?", yes=yes)
        done = amend_run(context, run, definition)
    out.show(done, f"Run {run} goes on with version {done.version}: sender campaign resume {run}")


@app.command(epilog=examples("sender campaign report 7", "sender campaign report 7 --csv run7.csv"))
def report(
    run: RunArgument,
    csv: Annotated[
        Path | None, typer.Option(help="Write a line per delivery, without personal data.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Report what became of everybody in a run."""
    from sender.campaigns.report import report_run, write_csv  # noqa: PLC0415  # see _load

    out = Output(as_json=as_json)
    with opened() as context, context.store.read() as session:
        numbers = report_run(session, run)
        if csv is not None:
            with csv.open("w", encoding="utf-8", newline="") as target:
                lines = write_csv(session, run, target)
            out.note(f"{lines:,} deliveries written to {csv}.")
    report_view(numbers).show(out)


def _carry_out(
    context: "Context", prepared: "Launch", out: Output, *, dry_run: bool, yes: bool
) -> None:
    try:
        view = plan_view(prepared.plan)
        if dry_run:
            view.show(out, "Dry run: nothing was planned or sent.")
            return
        if not out.as_json:
            view.show(out)
        people = prepared.plan.recipients
        out.confirm(f"Send to {people:,} {'person' if people == 1 else 'people'} now?", yes=yes)
        with out.progress("Planning") as advance:
            prepared.confirm(advance)
        ending = _dispatch(prepared, out, people)
    finally:
        prepared.close()
    _conclude(context, prepared.run_id, ending, out, by_workers=prepared.by_workers)


def _dispatch(prepared: "Launch", out: Output, pending: int) -> "Ending":
    with out.progress("Sending", total=pending) as advance:
        shown = 0
        waiting = ""

        def on_progress(progress: "Progress") -> None:
            nonlocal shown, waiting
            advance(progress.settled - shown)
            shown = progress.settled
            if progress.waiting_until is not None and progress.waiting_for != waiting:
                waiting = progress.waiting_for
                out.note(f"Waiting until {progress.waiting_until:%H:%M:%S}Z: {waiting}")

        prepared.on_progress = on_progress
        return prepared.dispatch()


def _conclude(
    context: "Context", run_id: int, ending: "Ending", out: Output, *, by_workers: bool
) -> None:
    from sender.campaigns.report import report_run  # noqa: PLC0415  # see _load
    from sender.delivery.progress import Ending  # noqa: PLC0415  # see _load

    with context.store.read() as session:
        numbers = report_run(session, run_id)
    report_view(numbers).show(out)
    if ending is Ending.STOPPED and out.as_json:  # the document says why
        raise typer.Exit(1)
    if ending is Ending.STOPPED:
        raise RefusedError(
            f"Run {run_id} stopped: {numbers.because}",
            remedy=f"Mend it and run: sender campaign resume {run_id}",
        )
    if ending in {Ending.PAUSED, Ending.INTERRUPTED}:
        state = numbers.state
        out.note(f"Run {run_id} is {state}. Carry it on with: sender campaign resume {run_id}")
    if ending in {Ending.WAITING, Ending.HANDED_ON}:
        out.note(_left_to_others(run_id, ending, workers=by_workers))
    if ending is Ending.INTERRUPTED:
        raise typer.Exit(_INTERRUPTED)


def _left_to_others(run_id: int, ending: "Ending", *, workers: bool) -> str:
    if workers and ending.value == "handed_on":
        return f"The workers go on sending run {run_id}: sender campaign status {run_id} --watch"
    who = "the workers carry" if workers else "`sender schedule tick` carries"
    what = "for hours, its account or a worker" if workers else "for hours or its account"
    return f"Run {run_id} waits {what}; {who} it on then, or: sender campaign resume {run_id}"


def _move(action: Any, run: int, *, as_json: bool) -> None:
    with opened() as context, context.store.write() as session:
        state = action(session, run, now=context.clock.now(), operator=context.operator)
    Output(as_json=as_json).show({"run": run, "state": state}, f"Run {run} is {state.value}.")
