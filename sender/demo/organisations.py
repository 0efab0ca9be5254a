"""The three controllers of the demonstration, their notices and campaigns, as files to look at."""

from pathlib import Path
from textwrap import dedent
from typing import Final

CONTROLLERS: Final = ("national", "riverside", "jones")

_NATIONAL = """
    slug = "national"
    name = "The Commons Party"
    kind = "party"
    postal_address = "12 Assembly Row, London SW1P 9ZZ"
    contact_email = "hello@commons-party.example.org"
    contact_phone = "+44 20 7946 0123"
    website = "https://commons-party.example.org"
    privacy_notice_url = "https://commons-party.example.org/privacy"
    relatives = ["riverside", "jones"]

    [imprint]
    promoter_name = "M. Okafor"
    promoter_address = "12 Assembly Row, London SW1P 9ZZ"

    [[purpose]]
    slug = "campaign-news"
    title = "News of our campaigns"
    [[purpose]]
    slug = "fundraising"
    title = "Appeals for money"

    [[account]]
    name = "demo-outbox"
    provider = "outbox"
    rate_per_second = 5000

    [[identity]]
    channel = "email"
    name = "newsroom"
    address = "news@commons-party.example.org"
    display_name = "The Commons Party"
    reply_to = "hello@commons-party.example.org"
    account = "demo-outbox"
    """

_RIVERSIDE = """
    slug = "riverside"
    name = "Riverside Commons Association"
    kind = "association"
    postal_address = "3 Mill Lane, Riverside RV1 2AB"
    contact_email = "office@riverside-commons.example.org"
    privacy_notice_url = "https://riverside-commons.example.org/privacy"
    relatives = ["national", "jones"]

    [imprint]
    promoter_name = "D. Whitfield"
    promoter_address = "3 Mill Lane, Riverside RV1 2AB"

    [[purpose]]
    slug = "polling-day-reminder"
    title = "A reminder on polling day"
    [[purpose]]
    slug = "local-issue:library"
    title = "The campaign to keep the library open"

    [[identity]]
    channel = "sms"
    name = "mobile"
    address = "+447700900001"
    display_name = "Riverside Commons"
    account = "demo-outbox"
    [[identity]]
    channel = "email"
    name = "office"
    address = "office@riverside-commons.example.org"
    display_name = "Riverside Commons Association"
    account = "demo-outbox"
    """

_JONES = """
    slug = "jones"
    name = "Alex Jones for Riverside"
    kind = "candidate"
    postal_address = "27 Ferry Street, Riverside RV2 4CD"
    contact_email = "alex@jones4riverside.example.org"
    privacy_notice_url = "https://jones4riverside.example.org/privacy"
    relatives = ["national", "riverside"]

    [imprint]
    promoter_name = "P. Achebe"
    promoter_address = "27 Ferry Street, Riverside RV2 4CD"

    [[purpose]]
    slug = "campaign-news"
    title = "News from Alex Jones"

    [[identity]]
    channel = "email"
    name = "alex"
    address = "alex@jones4riverside.example.org"
    display_name = "Alex Jones"
    account = "demo-outbox"
    """

_NOTICES = {
    "national-joining": """
        controller = "national"
        slug = "joining"
        wording = "Yes, The Commons Party may send me news of its campaigns and appeals for money
        by e-mail and by text message. I can stop either at any time."
        channels = ["email", "sms"]
        purposes = ["campaign-news", "fundraising"]
        controllers = ["national"]
        privacy_notice_url = "https://commons-party.example.org/privacy"
        shown_from = 2019-01-01
        signed_off_by = "Sam Sample, data officer"
        """,
    "national-petition-partner": """
        controller = "national"
        slug = "petition-partner"
        wording = "Riverside Commons Association may write to me by e-mail about its campaigns."
        channels = ["email"]
        purposes = ["campaign-news"]
        controllers = ["riverside"]
        privacy_notice_url = "https://riverside-commons.example.org/privacy"
        shown_from = 2021-01-01
        signed_off_by = "Sam Sample, data officer"
        """,
    "national-forum": """
        controller = "national"
        slug = "forum"
        wording = "The Valley Residents' Forum may pass my address on to The Commons Party, which
        may send me news of its campaigns by e-mail."
        channels = ["email"]
        purposes = ["campaign-news"]
        controllers = ["national"]
        privacy_notice_url = "https://commons-party.example.org/privacy"
        shown_from = 2021-01-01
        signed_off_by = "Sam Sample, data officer"
        """,
    "riverside-doorstep": """
        controller = "riverside"
        slug = "doorstep"
        wording = "Riverside Commons Association may text me a reminder on polling day."
        channels = ["sms"]
        purposes = ["polling-day-reminder"]
        controllers = ["riverside"]
        privacy_notice_url = "https://riverside-commons.example.org/privacy"
        shown_from = 2019-01-01
        signed_off_by = "Sam Sample, data officer"
        """,
    "riverside-library": """
        controller = "riverside"
        slug = "library-leaflet"
        wording = "Riverside Commons Association may text or e-mail me about the campaign to keep
        the library open."
        channels = ["sms", "email"]
        purposes = ["local-issue:library"]
        controllers = ["riverside"]
        privacy_notice_url = "https://riverside-commons.example.org/privacy"
        shown_from = 2019-01-01
        signed_off_by = "Sam Sample, data officer"
        """,
    "jones-website": """
        controller = "jones"
        slug = "website"
        wording = "Alex Jones for Riverside may send me news by e-mail."
        channels = ["email"]
        purposes = ["campaign-news"]
        controllers = ["jones"]
        privacy_notice_url = "https://jones4riverside.example.org/privacy"
        shown_from = 2022-01-01
        signed_off_by = "Sam Sample, data officer"
        """,
}

_NEWSLETTER = """
    name = "library-news"
    controller = "national"
    channel = "email"
    purpose = "campaign-news"
    subject = "The library stays open{% if recipient.first_name is defined %}, {{ recipient.first_name }}{% endif %}"
    template = "newsletter.html"
    max_recipients = 5_000

    [window] # a demonstration runs at any hour; without this, from 09:00 to 20:00
    from = "00:00"
    to = "24:00"
    """  # noqa: E501  # one line of TOML

_REMINDER = """
    name = "polling-day"
    controller = "riverside"
    channel = "sms"
    purpose = "polling-day-reminder"
    template = "polling-day.txt"
    max_recipients = 2_000
    max_segments = 2

    [window] # a demonstration runs at any hour; without this, from 09:00 to 20:00
    from = "00:00"
    to = "24:00"
    """

CAMPAIGNS: Final = ("library-news.toml", "polling-day.toml")


def write_organisations(folder: Path, samples: Path) -> None:
    """Write every file of the demonstration but the people, where it is not there yet.

    Args:
        folder: the demonstration's folder.
        samples: where the shipped sample templates lie.
    """
    files = {
        "controllers/national.toml": _NATIONAL,
        "controllers/riverside.toml": _RIVERSIDE,
        "controllers/jones.toml": _JONES,
        **{f"notices/{name}.toml": _one_line_wording(text) for name, text in _NOTICES.items()},
        "campaigns/library-news.toml": _NEWSLETTER,
        "campaigns/polling-day.toml": _REMINDER,
    }
    for name, text in files.items():
        _write(folder / name, dedent(text).lstrip())
    for name in ("newsletter.html", "polling-day.txt"):
        _write(folder / "campaigns" / name, (samples / name).read_text(encoding="utf-8"))


def _one_line_wording(text: str) -> str:
    before, start, rest = text.partition('wording = "')
    wording, end, after = rest.partition('"\n')
    return before + start + " ".join(wording.split()) + end + after


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(text, encoding="utf-8")
