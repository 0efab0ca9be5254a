"""Turn a template and its values into a page: one style sheet, no script, nothing from outside."""

from base64 import b64encode
from collections.abc import Mapping
from functools import cache, lru_cache
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sender.resources import resource_folder

PLAIN_COLOUR: Final = "#1f4e79"
"""Of pages that belong to no controller, and of controllers that chose none."""

_PRIVATE: Final = {
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
"""The address of a page holds a token: it goes to no other site, no cache and no search engine."""


def render(
    template: str,
    values: Mapping[str, Any],
    *,
    colour: str | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """Return the page.

    Args:
        template: its file in `templates/pages`.
        values: what the template names, all of it.
        colour: the controller's, `#rrggbb`, dark enough to be read on white.
        status: of the response.
        headers: further ones.
    """
    style, policy = _style(colour or PLAIN_COLOUR)
    # Our own file, with a colour that was checked when it was taken in.
    html = environment().get_template(template).render(values, style=Markup(style))  # noqa: S704
    own = {"Content-Security-Policy": policy, **_PRIVATE, **(headers or {})}
    return HTMLResponse(html, status_code=status, headers=own)


@cache
def environment() -> Environment:
    """Return where the pages come from; a value that is not there is an error."""
    return Environment(
        loader=FileSystemLoader(resource_folder("templates") / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=256)
def _style(colour: str) -> tuple[str, str]:
    """Return the style sheet and the policy that allows it alone, by its hash (CSP level 3)."""
    path = resource_folder("templates") / "pages" / "style.css"
    style = path.read_text(encoding="utf-8").replace("BRAND", colour)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    return style, policy
