"""What a worker counts, for Prometheus."""

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Info

from sender.context import Context
from sender.monitoring.gauges import DatabaseGauges

REGISTRY = CollectorRegistry()

SLICES = Counter(
    "sender_worker_slices_total",
    "Slices of runs that were carried on here, by how they ended.",
    ["ending"],
    registry=REGISTRY,
)

DUTIES = Counter(
    "sender_worker_duties_total",
    "House work that was done here, by what it was and whether it failed.",
    ["duty", "failed"],
    registry=REGISTRY,
)

BUSY = Gauge(
    "sender_worker_slices_under_way",
    "Slices of runs that are being carried on here.",
    registry=REGISTRY,
)

CONNECTIONS = Counter(
    "sender_worker_connections_lost_total",
    "Times that the connection to the job queue was lost and made anew.",
    registry=REGISTRY,
)

Info("sender_build", "Which version of the sender this is.", registry=REGISTRY).info(
    {"version": version("consent-sender")}
)


def metrics_registry(context: Context) -> CollectorRegistry:
    """Return what this process has counted, together with what the database is asked."""
    registry = CollectorRegistry()
    registry.register(REGISTRY)
    registry.register(DatabaseGauges(context))
    return registry
