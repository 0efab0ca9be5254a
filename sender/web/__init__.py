"""The web side: opt-out pages for people, webhooks for providers, health and metrics."""
