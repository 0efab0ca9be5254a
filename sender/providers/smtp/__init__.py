"""Any mail server, by SMTP."""
