"""The sample e-mails as a real browser lays them out, at phone and desktop width, light and dark.

The rendered check judges visibility by its own rules; a browser is the independent witness.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sender.rendering.email_renderer import EmailRenderer
from sender.rendering.profile import Recipient
from sender.rendering.text import CampaignText, TemplateSource
from sender.resources import resource_folder
from tests.unit.rendering_samples import IDENTITY, OPT_OUT_URL, PARTY

SAMPLES = ("newsletter.html", "polling-day.html", "fundraising.html")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
    "--disable-background-networking --disable-component-update --disable-sync --dump-dom"
)
PROBE = """
<script>
addEventListener("load", () => {
  const link = document.querySelector('a[href="OPT_OUT"]');
  const box = link.getBoundingClientRect(), colour = getComputedStyle(link).color;
  const found = {
    text: document.body.innerText, colour, dark: matchMedia("(prefers-color-scheme: dark)").matches,
    link: [box.left, box.right, box.width, box.height], label: link.innerText,
    font: parseFloat(getComputedStyle(link).fontSize), width: innerWidth,
    overflow: document.documentElement.scrollWidth - innerWidth,
  };
  const out = document.createElement("pre");
  out.id = "probe"; out.textContent = JSON.stringify(found);
  document.documentElement.appendChild(out);
});
</script>
"""


def rendered(sample: str) -> str:
    templates = resource_folder("templates")
    layout = templates / "layouts" / "standard.html"
    text = CampaignText(
        campaign_name="sample",
        subject="News",
        html=TemplateSource(sample, (templates / "samples" / sample).read_text(encoding="utf-8")),
        layout=TemplateSource("layouts/standard.html", layout.read_text(encoding="utf-8")),
    )
    renderer = EmailRenderer(text, PARTY, IDENTITY, list_id="news.leeds-north.org")
    fields = {"first_name": "Zoë", "ward": "Castle", "polling_station": "Friends' Hall"}
    return renderer.render(Recipient("zoe@example.org", fields, OPT_OUT_URL)).html


def look(chromium: Path, folder: Path, html: str, width: int, *, dark: bool) -> dict[str, Any]:
    page = folder / "page.html"
    page.write_text(html.replace("</body>", PROBE.replace("OPT_OUT", OPT_OUT_URL) + "</body>"))
    command = [
        str(chromium), *FLAGS.split(), f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},900", *(["--force-dark-mode"] if dark else []), page.as_uri(),
    ]  # fmt: skip
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found = re.search(r'<pre id="probe">(.*?)</pre>', answer.stdout, re.DOTALL)
    assert found, answer.stderr
    probe: dict[str, Any] = json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<"))
    return probe


@pytest.mark.parametrize("width", [500, 800])
@pytest.mark.parametrize("sample", SAMPLES)
def test_who_writes_and_the_way_out_are_there_to_see(
    chromium: Path, tmp_path: Path, sample: str, width: int
) -> None:
    """Chromium's window is never narrower than 500 px; the layout's phone rules begin at 600."""
    probe = look(chromium, tmp_path, rendered(sample), width, dark=False)
    flat = " ".join(probe["text"].split())
    assert PARTY.name in flat
    assert "1 High Street" in flat
    assert "Promoted by Ann Agent" in flat
    assert "Jo Candidate" in flat
    left, right, box_width, box_height = probe["link"]
    assert probe["label"].strip() == "Unsubscribe"
    assert 0 <= left < right <= probe["width"]
    assert box_width > 30
    assert box_height > 10
    assert probe["font"] >= 12
    assert probe["overflow"] <= 0


def test_the_dark_scheme_is_its_own(chromium: Path, tmp_path: Path) -> None:
    html = rendered("newsletter.html")
    light = look(chromium, tmp_path, html, 800, dark=False)
    dark = look(chromium, tmp_path, html, 800, dark=True)
    assert (light["dark"], dark["dark"]) == (False, True)
    assert light["colour"] != dark["colour"]
