"""The address under which the world sees a request, whatever proxy stands before us."""

from fastapi import Request

from sender.context import Context
from sender.suppression.links import public_address


def public_url_of(request: Request, context: Context) -> str:
    """Return the full public URL of a request: what a provider called, and what it signed.

    Raises:
        SettingsError: SENDER_PUBLIC_URL is not set.
    """
    query = f"?{request.url.query}" if request.url.query else ""
    raw_path = request.scope.get("raw_path") or request.url.path.encode()
    path = bytes(raw_path).partition(b"?")[0].decode("ascii", "replace")
    return f"{public_address(context.settings)}{path}{query}"
