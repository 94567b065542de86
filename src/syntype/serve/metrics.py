"""Counts for Prometheus, in a registry of their own; no label is what a client wrote."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
TYPE = CONTENT_TYPE_LATEST
"""Content type of the text."""
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """What is counted while the server runs."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "syntype_requests_total",
            "Requests that were answered.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "syntype_request_seconds",
            "Seconds from a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.records = Gauge("syntype_records", "Records in the index.", registry=self.registry)
        self.queued = Gauge(
            "syntype_queued", "Work that waits for a thread.", ("pool",), registry=self.registry
        )
        self.running = Gauge(
            "syntype_requests_running", "Requests being answered.", registry=self.registry
        )
        self.upload_bytes = Counter(
            "syntype_upload_bytes_total", "Bytes of bodies that were read.", registry=self.registry
        )
        self.limited = Counter(
            "syntype_rate_limited_total", "Requests refused with 429.", registry=self.registry
        )

    def tell(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
            route: The route's pattern, "" where none matched.
            method: As the client wrote it.
            status: Of the answer; 499 where the client left before.
            seconds: How long it took.
        """
        method = method if method in METHODS else "other"
        self.requests.labels(route or "none", method, str(status)).inc()
        self.seconds.labels(route or "none").observe(seconds)

    def text(self) -> bytes:
        """All of it, in Prometheus' format."""
        return generate_latest(self.registry)
