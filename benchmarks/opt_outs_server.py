"""The web server of a benchmark, in a process of its own.

    python -m benchmarks.opt_outs_server real|bare FOLDER    settings in the environment

`real` is what `sender web` serves; `bare` the same server, guards and paths, whose handlers verify
and read each request as ours do, and answer, without database, journal or thread. FOLDER holds the
certificates that SNS's messages are believed by. `GET /cpu` answers the process's CPU seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cryptography import x509
from fastapi import APIRouter, Request, Response

from sender.clock import Clock
from sender.context import Context, open_context
from sender.inbound.recogniser import recognise
from sender.logs import configure_logging
from sender.providers.ses.events import read_event
from sender.providers.ses.fetch import Fetch
from sender.providers.ses.sns import parse_envelope, require_signature
from sender.providers.ses.sns_certificates import SnsCertificates
from sender.providers.twilio.events import is_persons_text, persons_reply, status_notification
from sender.providers.twilio.signature import SignedForm, WebhookAccount, accounts_behind
from sender.suppression.links import token_keys
from sender.web import pages, ses, twilio
from sender.web.app import assemble
from sender.web.limits import Limits
from sender.web.opt_out_view import one_click_page, preview_page
from sender.web.patience import bound_waiting
from sender.web.public import public_url_of
from sender.web.server import Bind, serve_until_told
from tests.fakes.sns import CERTIFICATE_URL, SnsFake, pem
from tests.support.opt_outs import TWILIO_ACCOUNT, TWILIO_TOKEN, connect
from tests.support.web_process import WebProcess, web_environment

CHAIN, ROOT = "chain.pem", "root.pem"
DAY = timedelta(days=1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["real", "bare"])
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    with open_context() as context:
        limits = Limits()
        chain = (arguments.folder / CHAIN).read_bytes()
        roots = x509.load_pem_x509_certificates((arguments.folder / ROOT).read_bytes())
        make = real if arguments.role == "real" else bare
        routers = [*make(context, lambda _url: chain, roots), measurement()]
        application = assemble(context, routers, limits)
        bound_waiting(context.store, limits)
        configure_logging()
        serve_until_told(application, Bind("127.0.0.1", 0), limits)


def real(context: Context, get: Fetch, roots: list[x509.Certificate]) -> list[APIRouter]:
    return [pages.routes(context), twilio.routes(context), ses.routes(context, get, roots)]


def bare(context: Context, get: Fetch, roots: list[x509.Certificate]) -> list[APIRouter]:
    """Verify, read and answer. A page is rendered for a button, as ours does."""
    router = APIRouter()
    keys, certificates = token_keys(context.settings), SnsCertificates(get, roots)
    account = WebhookAccount(1, TWILIO_ACCOUNT, (TWILIO_TOKEN,))

    async def press(token: str, request: Request) -> Response:
        keys.read(token).is_for(None)
        fields = parse_qs((await request.body()).decode(), keep_blank_values=True)
        return preview_page() if "act" in fields else one_click_page()

    async def take_form(request: Request) -> Response:
        body = await request.body()
        form = SignedForm.read(public_url_of(request, context), request.headers, body)
        accounts_behind(form, [account])
        if not is_persons_text(form.fields):
            status_notification(form.fields, form.query, None)
            return Response(status_code=204)
        recognise(persons_reply(form.fields, (1,)).body)
        return Response("<Response/>", media_type="text/xml")

    async def take_event(request: Request) -> Response:
        envelope = parse_envelope(await request.body())
        require_signature(envelope, certificates, context.clock.now())
        read_event(envelope.message_id, envelope.message)
        return Response()

    handlers: Mapping[str, Callable[..., Any]] = {
        "/u/{token}": press,
        twilio.MESSAGES_PATH: take_form,
        twilio.STATUS_PATH: take_form,
        ses.PATH: take_event,
    }
    for path, handler in handlers.items():
        router.post(path, response_class=Response)(handler)
    return [router]


def measurement() -> APIRouter:
    router = APIRouter()

    @router.get("/cpu")
    async def cpu() -> float:
        return time.process_time()

    return router


def make_authority(folder: Path, clock: Clock) -> SnsFake:
    """Return an SNS whose certificate is good today, and leave its chain in the folder."""
    sns, now = SnsFake(), clock.now()
    leaf = sns.issuer.issue("sns.amazonaws.com", valid_from=now - DAY, valid_until=now + DAY)
    sns.pages[CERTIFICATE_URL] = pem(leaf, sns.issuer.certificate)
    (folder / CHAIN).write_bytes(pem(leaf, sns.issuer.certificate))
    (folder / ROOT).write_bytes(pem(*sns.roots))
    return sns


class Served:
    """A running server, seen from the benchmark.

    Attributes:
        url: its base, without slash.
    """

    def __init__(self, url: str, process_id: int) -> None:
        self.url = url
        self.process_id = process_id

    def cpu_seconds(self) -> float:
        connection = connect(self.url)
        connection.request("GET", "/cpu")
        seconds = float(json.loads(connection.getresponse().read()))
        connection.close()
        return seconds


@contextmanager
def serving(role: str, url: str, folder: Path) -> Iterator[Served]:
    """Serve the database at `url`, which is migrated and knows the key; stop at the end."""
    command = [sys.executable, "-m", "benchmarks.opt_outs_server", role, str(folder)]
    environ = environment(url, folder)
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        running = WebProcess(process)
        listener = threading.Thread(target=running.listen)
        listener.start()
        try:
            yield Served(running.url, process.pid)
            assert running.stop() == 0, running.said[-5:]
        finally:
            process.kill()
            listener.join()


def environment(url: str, folder: Path) -> dict[str, str]:
    """Return the settings of an installation on this database, its journal in the folder."""
    return {
        **{name: value for name, value in os.environ.items() if "SENDER" not in name},
        **web_environment(url, folder),
        "TWILIO_ACCOUNT_SID": TWILIO_ACCOUNT,
        "TWILIO_AUTH_TOKEN": TWILIO_TOKEN,
    }


if __name__ == "__main__":
    main()
