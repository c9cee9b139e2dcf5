"""What each web worker counts itself. Imported late: prometheus_client reads its folder then."""

from prometheus_client import Counter, Histogram

ANSWERED = Counter(
    "portal_http_requests",
    "Requests by view, method and status.",
    ["view", "method", "status"],
)
TIMED = Histogram(
    "portal_http_request_seconds",
    "Time to answer a request, by view and method.",
    ["view", "method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
