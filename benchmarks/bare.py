"""The bare loop: plain Jinja and the same SDK; no database, no checks, no accounts.

    python -m benchmarks.bare "SES bulk" SINK_URL --messages 10000 --threads 4

What somebody would write who only wanted the messages out: the SDKs with their default settings,
as many threads as our provider makes calls at the same time.
"""

import argparse
import json
import smtplib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import Any
from urllib.parse import urlsplit

import boto3
from twilio.rest import Client

from benchmarks.letter import person, plain_email, plain_sms
from benchmarks.sent import Sent
from benchmarks.ways import SES_BULK, SES_SINGLE, SMTP, TWILIO, WAYS, Way

FROM = "Riverside <news@riverside.org.uk>"
REPLY_TO = "office@riverside.org.uk"
BULK = 50
POLICY = SMTP_POLICY.clone(max_line_length=998)
"""At 78, the library takes long to write List-Unsubscribe, and in a way that nobody reads."""
Send = Callable[[Sequence[int]], None]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=[way.name for way in WAYS])
    parser.add_argument("url")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=4)
    arguments = parser.parse_args()
    send = _SENDERS[arguments.way](arguments.url)
    size = BULK if arguments.way == SES_BULK.name else 10
    numbers = range(arguments.messages)
    batches = [numbers[first : first + size] for first in range(0, len(numbers), size)]
    send([0])  # connect, and compile what is compiled once
    cpu, wall = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(arguments.threads) as pool:
        for done in [pool.submit(send, batch) for batch in batches]:
            done.result()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    told = {"messages": arguments.messages, "cpu_seconds": cpu, "wall_seconds": wall}
    print(json.dumps(told))


def bare(way: Way, url: str, messages: int, *, threads: int = 4) -> Sent:
    """Run the bare loop in a process of its own."""
    command = [
        sys.executable, "-m", "benchmarks.bare", way.name, url,
        "--messages", str(messages), "--threads", str(threads),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return Sent(**json.loads(done.stdout))


def _headers(opt_out_url: str) -> dict[str, str]:
    return {
        "List-Unsubscribe": f"<{opt_out_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Id": "<news.riverside.riverside.org.uk>",
        "Feedback-ID": "benchmark:news:email:riverside",
    }


def _pairs(fields: dict[str, str]) -> list[Any]:
    return [{"Name": name, "Value": value} for name, value in fields.items()]


def _ses_client(url: str) -> Any:
    return boto3.client(
        "sesv2", region_name="eu-west-2", endpoint_url=url,
        aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="wJalrEXAMPLE",
    )  # fmt: skip


def _ses_bulk(url: str) -> Send:
    client, render = _ses_client(url), plain_email()
    template = {"Subject": "{{subject}}", "Html": "{{html}}", "Text": "{{text}}"}

    def entry(number: int) -> dict[str, Any]:
        someone = person(number)
        subject, html, text = render(someone.fields, someone.opt_out_url)
        data = json.dumps({"subject": subject, "html": html, "text": text})
        return {
            "Destination": {"ToAddresses": [someone.address]},
            "ReplacementTags": _pairs({"delivery-id": str(number), "run-id": "1"}),
            "ReplacementHeaders": _pairs(_headers(someone.opt_out_url)),
            "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": data}},
        }

    def send(numbers: Sequence[int]) -> None:
        client.send_bulk_email(
            FromEmailAddress=FROM,
            ReplyToAddresses=[REPLY_TO],
            DefaultContent={"Template": {"TemplateContent": template, "TemplateData": "{}"}},
            BulkEmailEntries=[entry(number) for number in numbers],
        )

    return send


def _ses_single(url: str) -> Send:
    client, render = _ses_client(url), plain_email()

    def send(numbers: Sequence[int]) -> None:
        for number in numbers:
            someone = person(number)
            subject, html, text = render(someone.fields, someone.opt_out_url)
            body = {"Html": {"Data": html}, "Text": {"Data": text}}
            headers = _pairs(_headers(someone.opt_out_url))
            client.send_email(
                FromEmailAddress=FROM,
                ReplyToAddresses=[REPLY_TO],
                Destination={"ToAddresses": [someone.address]},
                EmailTags=_pairs({"delivery-id": str(number), "run-id": "1"}),
                Content={
                    "Simple": {"Subject": {"Data": subject}, "Body": body, "Headers": headers}
                },
            )

    return send


def _twilio(url: str) -> Send:
    client, render = Client("AC" + "0" * 32, "tokenEXAMPLE"), plain_sms()
    client.api.base_url = url

    def send(numbers: Sequence[int]) -> None:
        for number in numbers:
            someone = person(number, sms=True)
            client.messages.create(
                to=someone.address,
                from_="+447700900123",
                body=render(someone.fields),
                validity_period=900,
                status_callback=f"https://out.example.org/webhooks/twilio?delivery={number}&run=1",
            )

    return send


def _smtp(url: str) -> Send:
    place, render, kept = urlsplit(url), plain_email(), threading.local()

    def connection() -> smtplib.SMTP:
        if not hasattr(kept, "smtp"):
            kept.smtp = smtplib.SMTP(str(place.hostname), place.port or 0)
        found: smtplib.SMTP = kept.smtp
        return found

    def send(numbers: Sequence[int]) -> None:
        for number in numbers:
            someone = person(number)
            subject, html, text = render(someone.fields, someone.opt_out_url)
            mail = EmailMessage(policy=POLICY)
            mail["From"], mail["To"], mail["Subject"] = FROM, someone.address, subject
            mail["Date"], mail["Message-ID"] = datetime.now(UTC), f"<{number}.1@riverside.org.uk>"
            mail["Reply-To"] = REPLY_TO
            for name, value in _headers(someone.opt_out_url).items():
                mail[name] = value
            mail.set_content(text)
            mail.add_alternative(html, subtype="html")
            connection().send_message(mail)

    return send


_SENDERS: dict[str, Callable[[str], Send]] = {
    SES_BULK.name: _ses_bulk,
    SES_SINGLE.name: _ses_single,
    TWILIO.name: _twilio,
    SMTP.name: _smtp,
}


if __name__ == "__main__":
    main()
