"""What the web side counts, for Prometheus: numbers only, never an address, a token or a text."""

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

REGISTRY = CollectorRegistry()

REQUESTS = Histogram(
    "sender_web_request_seconds",
    "Time from the whole request to the whole answer, in seconds.",
    ["route", "method", "status"],
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
"""By the route's pattern, never its path: a path holds a token."""

EVENTS = Counter(
    "sender_provider_events_total",
    "Events that providers told of, by kind; again are those told before.",
    ["provider", "kind", "again"],
    registry=REGISTRY,
)

OPT_OUTS = Counter(
    "sender_opt_outs_total",
    "Acts of people that stop messages, acknowledged.",
    ["way"],
    registry=REGISTRY,
)

SIGN_UPS = Counter(
    "sender_sign_ups_total",
    "Sign-ups by what became of them; the confirmation is a later step.",
    ["what"],
    registry=REGISTRY,
)

REFUSED = Counter(
    "sender_web_refused_total",
    "Requests that were refused, by why.",
    ["route", "why"],
    registry=REGISTRY,
)

UNDER_WAY = Gauge(
    "sender_web_requests_under_way",
    "Requests that are being worked on, those answered 503 for their slowness too.",
    registry=REGISTRY,
)

Info("sender_build", "Which version of the sender this is.", registry=REGISTRY).info(
    {"version": version("consent-sender")}
)
