"""The files in deploy/ name settings, commands, paths and AWS calls that there are."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore import xform_name

from sender.cli.app import run
from sender.settings import Settings
from tests.support.tracked import ROOT, project_files, relative
from tests.unit.test_docs import flaw_of_command

DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs/deploy.md").read_text("utf-8")
FILES = project_files("deploy")
UNITS = sorted((DEPLOY / "systemd").glob("*"))
SERVICES = [path for path in UNITS if path.suffix == ".service"]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
CONTAINERFILE = (DEPLOY / "Containerfile").read_text("utf-8")
ENVIRONMENT = (DEPLOY / "environment.example").read_text("utf-8")
POLICY = json.loads((DEPLOY / "aws-iam-policy.json").read_text("utf-8"))

SETTINGS = {f"SENDER_{name}".upper() for name in Settings.model_fields}


def unit(path: Path) -> RawConfigParser:
    parser = RawConfigParser(strict=False, comment_prefixes="#", delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # configparser's own idiom
    parser.read_string(path.read_text("utf-8"))
    return parser


def commands() -> Iterator[str]:
    """Yield every command line that deploy/ starts, as it would be typed."""
    for path in SERVICES:
        yield unit(path)["Service"]["ExecStart"].replace("/opt/sender/bin/", "").replace("%i", "1")
    for service in COMPOSE["services"].values():
        if "command" in service:
            yield shlex.join(["sender", *service["command"]])


def aws_calls() -> set[str]:
    """Return the operations of SES that the code calls, as IAM knows them."""
    model = boto3.session.Session(region_name="eu-west-2").client(
        "sesv2", aws_access_key_id="none", aws_secret_access_key="none"
    ).meta.service_model  # fmt: skip
    by_method = {xform_name(name): name for name in model.operation_names}
    called = {
        node.func.attr
        for path in project_files("sender", suffix=".py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    return {f"ses:{by_method[name]}" for name in called & set(by_method)}


def services_of_aws() -> set[str]:
    """Return the services that the code opens clients of."""
    calls = (
        node
        for path in project_files("sender", suffix=".py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
    )
    return {
        str(call.args[0].value)
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in {"client", "resource"}
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_setting_that_a_file_names_exists(path: Path) -> None:
    named = set(re.findall(r"\bSENDER_[A-Z_]+\b", path.read_text("utf-8")))
    assert named - SETTINGS == set()


def test_the_example_environment_has_every_setting_and_holds_no_secret() -> None:
    lines = re.findall(r"^#?([A-Z_]+)=(.*)$", ENVIRONMENT, re.MULTILINE)
    assert SETTINGS - {name for name, _ in lines} == set()
    secrets = re.compile("KEY|SECRET|TOKEN|PASSWORD|WEBHOOK_URL")
    assert {value for name, value in lines if secrets.search(name)} == {"", "change-me"}


def test_what_the_example_environment_says_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in re.findall(r"^#?(SENDER_[A-Z_]+)=(.+)$", ENVIRONMENT, re.MULTILINE):
        monkeypatch.setenv(name, value)
    settings = Settings()
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    lines = re.findall(r"^#SENDER_([A-Z_]+)=(.+)$", ENVIRONMENT, re.MULTILINE)
    for name in (name.lower() for name, _ in lines if name != "OUTBOX"):
        assert getattr(settings, name) == defaults[name]


@pytest.mark.parametrize("line", sorted(commands()))
def test_every_command_that_is_started_exists(line: str) -> None:
    assert flaw_of_command(line) == ""
    words = [word for word in shlex.split(line)[1:] if not word.startswith("-")]
    names = words[:2] if words[0] in {"db", "schedule"} else words[:1]
    assert run([*names, "--help"]) == 0


def test_the_policy_allows_the_calls_of_the_code_and_no_more() -> None:
    allowed: set[str] = set()
    for statement in POLICY["Statement"]:
        assert statement["Effect"] == "Allow"
        actions = statement["Action"]
        allowed |= {actions} if isinstance(actions, str) else set(actions)
    assert allowed == aws_calls()
    assert services_of_aws() == {"sesv2"}


def test_the_policy_is_wide_only_where_aws_knows_no_resource() -> None:
    wide = {
        action
        for statement in POLICY["Statement"]
        if statement["Resource"] == "*"
        for action in statement["Action"]
    }
    assert wide == {"ses:GetAccount", "ses:ListSuppressedDestinations"}
    assert not [action for action in aws_calls() if "*" in action]


@pytest.mark.parametrize("path", SERVICES, ids=relative)
def test_a_unit_runs_as_nobody_special(path: Path) -> None:
    service = unit(path)["Service"]
    assert service["User"] == "sender"
    assert service["EnvironmentFile"] == "/etc/sender/environment"
    wanted = {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "CapabilityBoundingSet": "",
        "UMask": "0077",
    }
    assert {name: service[name] for name in wanted} == wanted
    assert "SENDER" not in service.get("Environment", "")


@pytest.mark.parametrize("path", SERVICES, ids=relative)
def test_a_unit_that_stays_is_started_again_and_one_that_ends_has_its_timer(path: Path) -> None:
    parsed = unit(path)
    if parsed["Service"].get("Type") == "oneshot":
        assert path.with_suffix(".timer") in UNITS
        assert "Restart" not in parsed["Service"]
    else:
        assert parsed["Service"]["Restart"] == "always"
        assert parsed["Unit"]["StartLimitIntervalSec"] == "0"
        assert parsed["Install"]["WantedBy"] == "multi-user.target"


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_whoever_sends_has_time_to_record_the_call_in_flight() -> None:
    longest = Settings(provider_timeout_seconds=120).provider_timeout.total_seconds() + 5
    for name in ("sender-worker@.service", "sender-tick.service"):
        assert seconds(unit(DEPLOY / "systemd" / name)["Service"]["TimeoutStopSec"]) > longest
    assert seconds(COMPOSE["services"]["worker"]["stop_grace_period"]) > longest


def test_the_containerfile_copies_what_there_is_and_runs_as_nobody_special() -> None:
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
    named = [name for line in copies for name in line.split()]
    assert {"sender", "migrations", "templates"} < set(named)
    assert [name for name in named if not (ROOT / name).exists()] == []
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text("utf-8")
    assert [name for name in named if f"!{name.split('/')[0]}\n" not in ignored] == []
    last = CONTAINERFILE.rpartition("\nFROM ")[2]
    assert "USER 10001:10001" in last
    assert "pip" not in last
    assert re.search(r"^ENTRYPOINT \[\"sender\"\]$", last, re.MULTILINE)


def test_the_container_installs_by_hash_only() -> None:
    for install in re.findall(r"pip install[^&]+", CONTAINERFILE):
        assert "--require-hashes" in install or "--no-deps dist/*.whl" in install


def test_compose_starts_in_order_and_watches_what_stays() -> None:
    services: dict[str, Any] = COMPOSE["services"]
    upgraded = {"condition": "service_completed_successfully"}
    for name in ("web", "worker"):
        assert services[name]["depends_on"]["upgrade"] == upgraded
        assert services[name]["restart"] == "always"
        assert services[name]["healthcheck"]["test"][0] == "CMD"
    assert services["upgrade"]["depends_on"]["database"] == {"condition": "service_healthy"}
    assert services["web"]["ports"] == ["127.0.0.1:8080:8080"]
    assert "ports" not in services["database"]


def test_compose_gives_the_sender_little_and_the_database_no_secret_of_the_senders() -> None:
    services: dict[str, Any] = COMPOSE["services"]
    for name in ("upgrade", "web", "worker", "cli"):
        one = services[name]
        assert (one["read_only"], one["cap_drop"]) == (True, ["ALL"])
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert not {"hostname", "network_mode", "privileged"} & set(one)
        assert any(volume.startswith("state:/var/lib/sender") for volume in one["volumes"])
    assert "env_file" not in services["database"]


def test_compose_keeps_the_journal_in_its_volume() -> None:
    journal = COMPOSE["x-sender"]["environment"]["SENDER_JOURNAL"]
    assert journal.startswith("/var/lib/sender/")
    assert f"SENDER_JOURNAL={journal}" in CONTAINERFILE
    folder = journal.rpartition("/")[0]
    assert f"install -d -o sender -g sender -m 0700 {folder}" in CONTAINERFILE


def test_the_page_names_every_file() -> None:
    missing = [relative(path) for path in FILES if f"`{relative(path)}`" not in PAGE]
    assert missing == []
