"""`sender web`: serve opt-out pages and webhooks."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sender.cli.common import examples, opened

if TYPE_CHECKING:
    from sender.context import Context
    from sender.web.server import Bind

app = typer.Typer(add_completion=False)

Port = Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 for any free one.")]


@app.command(epilog=examples("sender web", "sender web --port 8080 --metrics-port 9100"))
def web(
    host: Annotated[
        str, typer.Option(help="The address to listen on; behind a proxy the default.")
    ] = "127.0.0.1",
    port: Port = 8080,
    metrics_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Serve /metrics on 127.0.0.1 here, without a token."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="PEM file of a certificate chain, to serve https.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file of its key.")] = None,
    openapi: Annotated[
        bool, typer.Option("--openapi", help="Print the OpenAPI description, and end.")
    ] = False,
    _json: Annotated[
        bool, typer.Option("--json", help="Say what keeps it from starting as a JSON document.")
    ] = False,
) -> None:
    """Serve opt-out pages and webhooks, until SIGTERM or Ctrl-C; log JSON lines on stderr."""
    from sender.web.server import Bind  # noqa: PLC0415  # uvicorn takes its time

    bind = Bind(host, port, tls_cert, tls_key)
    with opened() as context:
        if openapi:
            _print_description(context)
        else:
            _serve(context, bind, metrics_port)


def _serve(context: "Context", bind: "Bind", metrics_port: int | None) -> None:
    from sender.logs import configure_logging  # noqa: PLC0415  # see above
    from sender.monitoring.serving import serve_metrics  # noqa: PLC0415  # see above
    from sender.suppression.links import opt_out_links  # noqa: PLC0415  # see above
    from sender.web.app import create_app  # noqa: PLC0415  # see above
    from sender.web.health import metrics_registry  # noqa: PLC0415  # see above
    from sender.web.limits import Limits  # noqa: PLC0415  # see above
    from sender.web.patience import bound_waiting  # noqa: PLC0415  # see above
    from sender.web.server import serve_until_told  # noqa: PLC0415  # see above

    opt_out_links(context.settings)  # refuses to start without address and keys
    limits = Limits()
    application = create_app(context, limits)
    bound_waiting(context.store, limits)
    configure_logging()
    with serve_metrics(metrics_registry(context), metrics_port):
        serve_until_told(application, bind, limits)


def _print_description(context: "Context") -> None:
    from sender.web.app import create_app  # noqa: PLC0415  # FastAPI takes its time

    json.dump(create_app(context).openapi(), sys.stdout, indent=2)
    sys.stdout.write("\n")
