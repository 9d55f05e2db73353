"""Loads on a real pool: many concurrent requests, and the causes of exhaustion as small scenarios."""

from course_lib.pools._arrivals import Draw, Duration, exponential, poisson
from course_lib.pools._requests import Request, run_requests
from course_lib.pools._run_result import RequestOutcome, RunResult, percentile
from course_lib.pools._scenarios import leaked_session, long_transaction, n_plus_one, nested_checkout, undersized_pool

__all__ = [
    "Draw",
    "Duration",
    "Request",
    "RequestOutcome",
    "RunResult",
    "exponential",
    "leaked_session",
    "long_transaction",
    "n_plus_one",
    "nested_checkout",
    "percentile",
    "poisson",
    "run_requests",
    "undersized_pool",
]
