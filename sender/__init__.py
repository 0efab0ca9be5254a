"""Consent-aware e-mail and SMS campaigns."""

__version__ = "0.1.0"
