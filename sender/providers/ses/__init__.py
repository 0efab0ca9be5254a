"""Amazon SES, API v2."""
