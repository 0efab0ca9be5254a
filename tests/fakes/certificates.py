"""A certificate for 127.0.0.1 that nothing but these tests trusts; its key is public on purpose."""

import ssl
from pathlib import Path

_FOLDER = Path(__file__).parent / "data"

CERTIFICATE = _FOLDER / "localhost-certificate.pem"
KEY = _FOLDER / "localhost-key.pem"


def server_context() -> ssl.SSLContext:
    """Return the server's side."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context
