"""How do we ask?  The few forms of PromQL that the panels are made of."""

from typing import Final

from dashboards.board import OF_ROUTES, OF_SERVICE

EVERY: Final = "$__rate_interval"


def rate(metric: str, *by: str, where: str = OF_SERVICE, over: str = EVERY) -> str:
    """Return how much a counter grows a second, summed by labels."""
    summed = f"sum by ({', '.join(by)})" if by else "sum"
    return f"{summed} (rate({metric}{{{where}}}[{over}]))"


def grown(metric: str, *by: str, where: str = OF_SERVICE, over: str = "$__range") -> str:
    """Return by how much a counter grew, summed by labels; 0 for one that has no series yet and no labels."""
    summed = f"sum by ({', '.join(by)})" if by else "sum"
    expr = f"{summed} (increase({metric}{{{where}}}[{over}]))"
    return expr if by else f"{expr} or vector(0)"


def share(part: str, whole: str) -> str:
    """Return a part of a whole; 0 where the part has no series yet, nothing where there is no whole."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def quantile(quantile_: float, histogram: str, *by: str, where: str = OF_SERVICE) -> str:
    """Return a histogram's quantile by labels."""
    return f"histogram_quantile({quantile_}, {rate(f'{histogram}_bucket', 'le', *by, where=where)})"


def gauge(metric: str, *by: str, how: str, where: str = OF_SERVICE) -> str:
    """Return a gauge of all servers: their sum, max or min by labels."""
    summed = f"{how} by ({', '.join(by)})" if by else how
    return f"{summed} ({metric}{{{where}}})"


def of_routes(more: str = "") -> str:
    """Return the selector of the chosen routes, and what else is asked for."""
    return f"{OF_ROUTES},{more}" if more else OF_ROUTES


def of_service(more: str) -> str:
    """Return the selector of the chosen service, and what else is asked for."""
    return f"{OF_SERVICE},{more}"
