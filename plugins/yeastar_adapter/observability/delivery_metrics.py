"""Delivery reports in Prometheus' words.

What is counted in Redis is one count for all nodes, and every node exports the whole of it (`counted_in="redis"`): take
the highest of the nodes, not their sum. What a node has counted for itself (`local`) is summed up:

    sum by (status) (max by (consumer, status) (yeastar_adapter_delivery_reports_total{counted_in="redis"}))
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..delivery_reports import ledgers
from ..delivery_reports.ledger import BOUNDS, Totals, merged
from ..delivery_reports.statuses import OUTCOMES
from . import deliveries

_PREFIX = "yeastar_adapter_"


class Deliveries(Collector):
    """What became of messages: the ledgers, and `deliveries.counters`."""

    def collect(self) -> Iterator[Metric]:
        counted = {"local": ledgers.local.totals()}
        in_redis = ledgers.redis_ledgers()
        if in_redis:
            counted["redis"] = merged(ledger.totals_read for ledger in in_redis)
        yield self._reports(counted)
        yield self._seconds(counted)
        yield self._outstanding(counted)
        yield from self._here()

    def _reports(self, counted: dict[str, Totals]) -> Metric:
        family = CounterMetricFamily(
            _PREFIX + "delivery_reports",
            "Delivery reports, each counted once: by status, and what it means (delivered, undelivered, interim).",
            labels=("consumer", "outcome", "status", "counted_in"),
        )
        for place, totals in counted.items():
            for (consumer, status), reports in list(totals.reports.items()):
                outcome = OUTCOMES.get(status)
                if outcome is not None:
                    family.add_metric((consumer, outcome.value, status, place), reports)
        return family

    def _seconds(self, counted: dict[str, Totals]) -> Metric:
        family = HistogramMetricFamily(
            _PREFIX + "delivery_seconds",
            "From an order's hand-over to Kong to the report that it was delivered.",
            labels=("consumer", "counted_in"),
        )
        for place, totals in counted.items():
            for consumer, milliseconds in list(totals.milliseconds.items()):
                so_far, buckets = 0, []
                for index, bound in enumerate((*map(str, BOUNDS), "+Inf")):
                    so_far += totals.seconds.get((index, consumer), 0)
                    buckets.append((bound, float(so_far)))
                family.add_metric((consumer, place), buckets, milliseconds / 1000)
        return family

    def _outstanding(self, counted: dict[str, Totals]) -> Metric:
        family = GaugeMetricFamily(
            _PREFIX + "delivery_reports_outstanding",
            "Orders of the last day that are older than an hour and have no report; below 0 where another process "
            "has accepted the order.",
            labels=("consumer", "counted_in"),
        )
        for place, totals in counted.items():
            for consumer, orders in list(totals.outstanding.items()):
                family.add_metric((consumer, place), orders)
        return family

    def _here(self) -> Iterator[Metric]:
        counters = deliveries.counters
        expected = CounterMetricFamily(
            _PREFIX + "delivery_reports_expected",
            "Orders that FutureSMS has taken, and that ask for a report.",
            labels=("consumer",),
        )
        for consumer, orders in list(counters.expected.items()):
            expected.add_metric((consumer,), orders)
        yield expected
        refused = CounterMetricFamily(
            _PREFIX + "delivery_reports_refused",
            "Calls on the reports' route that were not valid reports, by what was wrong: "
            "address (unknown), body, order, status, method, off.",
            labels=("reason",),
        )
        for reason, calls in list(counters.refused.items()):
            refused.add_metric((reason,), calls)
        yield refused
        yield CounterMetricFamily(
            _PREFIX + "delivery_reports_repeated",
            "Reports that had been counted before.",
            value=counters.repeated,
        )
