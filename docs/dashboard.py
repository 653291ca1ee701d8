"""docs/kustomize/monitoring/dashboard.json: the metrics of all pods, for Grafana 10 and later.

    python docs/dashboard.py >docs/kustomize/monitoring/dashboard.json

Made with Grafana's own types. The metrics and their labels are those of docs/kubernetes.md.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.builders.common import StackingConfig, VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef

_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")  # as it is chosen
_HERE = 'namespace="$namespace"'
_QUANTILE = "histogram_quantile({}, sum by (work, le) (rate(_file_seconds_bucket{{%}}[30m])))"
_HEIGHT = 8  # of a panel, in Grafana's rows; three are beside each other in its 24 columns


@dataclass(frozen=True)
class Chart:
    """A panel: its queries by legend. A name of ours begins with `_`, and `%` is the choice of a namespace."""

    title: str
    queries: Mapping[str, str]
    unit: str = "short"
    stacked: bool = False
    text: str = ""


CHARTS: Mapping[str, list[Chart]] = {
    "Inventory": [
        Chart(
            "Rows", {"{{state}}": "max by (state) (_rows{%})"}, stacked=True, text="As the watcher counted them last."
        ),
        Chart("Bytes of these rows", {"{{state}}": "max by (state) (_row_bytes{%})"}, "bytes", stacked=True),
        Chart(
            "The oldest row waits for",
            {
                "a {{work}}": "max by (work) (_oldest_waiting_seconds{%})",
                "(count is old)": "time() - max(_counted_timestamp_seconds{%})",
            },
            "s",
        ),
    ],
    "Loaders and differs": [
        Chart(
            "Files per minute",
            {"{{work}}: {{outcome}}": "60 * sum by (work, outcome) (rate(_files_total{%}[$__rate_interval])) > 0"},
        ),
        Chart(
            "Bytes of the files done",
            {"{{work}}": "sum by (work) (rate(_file_bytes_total{%}[$__rate_interval]))"},
            "Bps",
        ),
        Chart(
            "In work, and claims per minute",
            {
                "{{work}}: in work": "sum by (work) (_files_in_work{%})",
                "{{work}}: claims": "60 * sum by (work) (rate(_attempts_total{%}[$__rate_interval]))",
            },
        ),
        Chart(
            "Time of a file",
            {"{{work}}: half": _QUANTILE.format(0.5), "{{work}}: 19 of 20": _QUANTILE.format(0.95)},
            "s",
        ),
        Chart(
            "Given up or waited",
            {
                "turns without a server": "sum(increase(_away_total{%}[$__rate_interval]))",
                "rows lost": 'sum(increase(_files_total{%, outcome="lost"}[$__rate_interval]))',
                "attempts again": 'sum(increase(_files_total{%, outcome="retry"}[$__rate_interval]))',
            },
        ),
        Chart(
            "Longest without a sign of life",
            {"{{pod}}": "topk(5, _silent_seconds{%})"},
            "s",
            text="At stuck_after (10 minutes) a pod is started anew.",
        ),
    ],
    "Store and bucket": [
        Chart(
            "Requests of direct loads",
            {
                "{{method}}": "sum by (method) (rate(_store_requests_total{%}[$__rate_interval]))",
                "made again": "sum(rate(_store_retries_total{%}[$__rate_interval]))",
            },
            "reqps",
        ),
        Chart(
            "Bytes of direct loads",
            {"{{method}}": "sum by (method) (rate(_store_bytes_total{%}[$__rate_interval]))"},
            "Bps",
        ),
        Chart("Objects in the bucket", {"listed": "max(_listed_objects{%})"}),
        Chart(
            "Changes found by scans",
            {"{{change}}": "sum by (change) (increase(_changes_total{%}[$__rate_interval])) > 0"},
        ),
        Chart(
            "Scans",
            {
                "seconds of the last": "max(_last_scan_seconds{%})",
                "seconds since": "time() - max(_last_scan_timestamp_seconds{%})",
                "seconds since the last news": "time() - max(_in_step_timestamp_seconds{%})",
            },
            "s",
        ),
        Chart("Events of the bucket", {"messages": "sum(rate(_events_total{%}[$__rate_interval]))"}, "cps"),
        Chart(
            "Scans of the last hour",
            {"whole": "sum(increase(_scans_total{%}[1h]))", "broken off": "sum(increase(_scan_errors_total{%}[1h]))"},
        ),
    ],
    "Pods": [
        Chart("Pods by version", {"{{version}}": "count by (version) (_build_info{%})"}),
        Chart(
            "CPU", {"{{pod}}": 'topk(10, rate(process_cpu_seconds_total{%, pod=~"hsds-bucket-.*"}[$__rate_interval]))'}
        ),
        Chart("Memory", {"{{pod}}": 'topk(10, process_resident_memory_bytes{%, pod=~"hsds-bucket-.*"})'}, "bytes"),
    ],
}


def query(text: str) -> str:
    """A query for Prometheus, of one of a chart."""
    return re.sub(r"(?<=[ (])_", "bucket_loader_", text).replace("%", _HERE)


def _panel(chart: Chart) -> timeseries.Panel:
    legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)
    tooltip = VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING)
    panel = timeseries.Panel().title(chart.title).description(chart.text).unit(chart.unit).min(0)
    panel = panel.height(_HEIGHT).span(8).legend(legend).tooltip(tooltip)
    if chart.stacked:
        panel = panel.fill_opacity(40).stacking(StackingConfig().mode(StackingMode.NORMAL).group("A"))
    for number, (label, text) in enumerate(chart.queries.items()):
        panel = panel.with_target(
            prometheus.Dataquery().expr(query(text)).legend_format(label).ref_id(chr(ord("A") + number))
        )
    return panel.datasource(_SOURCE)


def text() -> str:
    """The dashboard as JSON."""
    made = dashboard.Dashboard("HSDS bucket loader").uid("hsds-bucket-loader").tags(["hsds"])
    made = made.refresh("30s").time("now-6h", "now").tooltip(DashboardCursorSync.CROSSHAIR)
    made = made.with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    made = made.with_variable(
        dashboard.QueryVariable("namespace")
        .label("Namespace")
        .query("label_values(bucket_loader_build_info, namespace)")
        .datasource(_SOURCE)
    )
    for title, charts in CHARTS.items():
        made = made.with_row(dashboard.Row(title))
        for chart in charts:
            made = made.with_panel(_panel(chart))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
