"""What do the metrics say?  The sum of the series that a query names, over everybody who can be asked."""

from collections.abc import Iterable, Mapping
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

_PATIENCE: Final = aiohttp.ClientTimeout(total=5)


def total(exposition: str, query: str) -> float:
    """Return the sum of the samples that have the name and the labels of ``query``, like ``a_total{reason="b"}``."""
    (wanted,) = [sample for family in text_string_to_metric_families(f"{query} 0\n") for sample in family.samples]
    return sum(
        sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        if _plain(sample.name) == _plain(wanted.name) and _has(sample.labels, wanted.labels)
    )


def _plain(name: str) -> str:
    # The parser gives every counter's samples this ending, Envoy's too, which are exposed without it.
    return name.removesuffix("_total")


def _has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= labels.items()


async def scraped(urls: Iterable[str]) -> str:
    """Return the expositions of all who answer, one after the other; who is down counts nothing."""
    texts = []
    async with aiohttp.ClientSession(timeout=_PATIENCE) as session:
        for url in urls:
            try:
                async with session.get(url) as response:
                    texts.append(await response.text())
            except aiohttp.ClientError:
                continue
    return "\n".join(texts)
