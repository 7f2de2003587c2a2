"""The client's metrics as anyone sees them: the text that `/metrics` serves, read back.

Rule: the proof counts with what an operator would count with, so nothing is taken from inside.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from sleepwalker.observability.names import LABEL_HOST

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Metrics:
    """All samples of a registry at one moment.

    :param beside: a host whose samples don't count
    :ivar text: what `/metrics` serves
    """

    def __init__(self, registry: CollectorRegistry, *, beside: str | None = None) -> None:
        self.text = generate_latest(registry).decode()
        self._samples = [
            sample
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if beside is None or sample.labels.get(LABEL_HOST) != beside
        ]

    def total(self, name: str, **labels: str) -> int:
        """The sum over all series of this name that have these label values."""
        return round(
            sum(
                sample.value
                for sample in self._samples
                if sample.name == name and labels.items() <= sample.labels.items()
            )
        )

    def series(self, name: str, *labels: str) -> int:
        """How many combinations of these labels' values the series of this name have."""
        return len(
            {
                tuple(sample.labels[label] for label in labels)
                for sample in self._samples
                if sample.name == name
            }
        )

    def by(self, label: str, name: str, **labels: str) -> dict[str, int]:
        """The sums of these series for each value of a label, but for those that are 0."""
        sums: Counter[str] = Counter()
        for sample in self._samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                sums[sample.labels[label]] += round(sample.value)
        return {value: count for value, count in sums.items() if count}
