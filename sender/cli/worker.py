"""`sender worker`: send what is launched, beside other workers, and keep house."""

from typing import TYPE_CHECKING, Annotated

import typer

from sender.cli.common import examples, opened
from sender.errors import SettingsError

if TYPE_CHECKING:
    from sender.context import Context

app = typer.Typer(add_completion=False)


@app.command(
    epilog=examples(
        "sender worker", "sender worker --slots 8 --metrics-port 9101", "sender worker --once"
    )
)
def worker(
    slots: Annotated[
        int, typer.Option(min=1, max=64, help="How many runs it sends at the same time.")
    ] = 4,
    metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Serve /metrics on 127.0.0.1 here.")
    ] = None,
    once: Annotated[
        bool,
        typer.Option("--once", help="Send what may be sent now, and end; exit 1 on a failure."),
    ] = False,
    _json: Annotated[
        bool, typer.Option("--json", help="Say what keeps it from starting as a JSON document.")
    ] = False,
) -> None:
    """Send and keep house until SIGTERM or Ctrl-C; log JSON lines on stderr (PostgreSQL only)."""
    with opened() as context:
        code = _work(context, slots, metrics_port, once=once)
    raise typer.Exit(code)


def _work(context: "Context", slots: int, metrics_port: int | None, *, once: bool) -> int:
    if context.store.dialect == "sqlite":
        raise SettingsError(
            "A worker needs PostgreSQL; this database is a SQLite file.",
            remedy="Set SENDER_DATABASE_URL to postgresql://…, or send with: sender campaign "
            "launch, and keep schedules with: sender schedule tick",
        )
    from sender.campaigns.carrying import Carrier  # noqa: PLC0415  # SDKs take their time
    from sender.logs import configure_logging  # noqa: PLC0415  # see above
    from sender.monitoring.serving import serve_metrics  # noqa: PLC0415  # see above
    from sender.suppression.links import opt_out_links  # noqa: PLC0415  # see above
    from sender.worker.duties import DUTIES  # noqa: PLC0415  # see above
    from sender.worker.metrics import metrics_registry  # noqa: PLC0415  # see above
    from sender.worker.process import WorkerProcess  # noqa: PLC0415  # see above

    opt_out_links(context.settings)  # refuses to start without address and keys
    configure_logging()
    process = WorkerProcess(
        context, lambda worker_id: Carrier(context, worker_id), DUTIES, slots, once=once
    )
    with serve_metrics(metrics_registry(context), metrics_port):
        return process.run()
