"""Figures for Prometheus."""

import prometheus_client as prometheus

from bridge_jax.serve.line import Line

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Figures of one server."""

    def __init__(self):
        self._registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=self._registry)
        self._requests = self._counter(
            "requests", "Requests, by what they were answered with", "route", "status"
        )
        self._latency = prometheus.Histogram(
            "bridge_request_seconds",
            "From a request's arrival to its last byte",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._made = self._counter("made", "What the model made", "what")

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is a pattern, of which there are few."""
        self._requests.labels(route, status).inc()
        self._latency.labels(route).observe(seconds)

    def made(self, what: str, count: int) -> None:
        """Count "tokens", "pictures" or "embeddings"."""
        self._made.labels(what).inc(count)

    def watch(self, line: Line) -> None:
        """Report how many wait and run in a line, as long as there is the server."""
        for state in ("waiting", "running"):
            gauge = prometheus.Gauge(
                f"bridge_{line.name}_{state}",
                f"Requests of {line.name} that are {state}",
                registry=self._registry,
            )
            gauge.set_function(lambda state=state: getattr(line, state))

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return prometheus.generate_latest(self._registry)

    def _counter(self, name: str, help: str, *labels: str) -> prometheus.Counter:
        return prometheus.Counter(
            f"bridge_{name}", help, labels, registry=self._registry
        )
