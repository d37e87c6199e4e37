"""What the dashboards are made of: panels with a meaning and a unit, variables, links, counts that are exact."""

from collections.abc import Sequence
from typing import Final, Literal, TypeVar

from grafana_foundation_sdk.builders import bargauge, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE: Final = models.DataSourceRef("prometheus", "${source}")
TAG: Final = "microex"

NAMESPACE: Final = 'namespace=~"$namespace"'
CAMERAS: Final = 'namespace=~"$namespace", session=~"$session", camera=~"$camera"'

Panel = timeseries.Panel | stat.Panel | heatmap.Panel | table.Panel | bargauge.Panel
Framed = TypeVar("Framed", timeseries.Panel, stat.Panel, heatmap.Panel, table.Panel, bargauge.Panel)
Query = tuple[str, str]
"""A query and how its series are named in the legend."""


def fresh(metric: str, by: str, span: str = "$__interval") -> str:
    """What a counter grew by in each span, exactly: differences of the raw counter, and all of it for a series that is
    new. increase() would extrapolate, and misses what a series begins with. What a process counted between the last
    scrape and its end is lost."""
    grown = f"clamp_min({metric} - {metric} offset {span}, 0) or ({metric} unless {metric} offset {span})"
    return f"sum by ({by}) ({grown})" if by else f"sum({grown})"


def per_second(metric: str, by: str) -> str:
    """Growth of a counter a second, summed."""
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


def quantile(q: float, histogram: str, labels: str, by: str = "", span: str = "$__rate_interval") -> str:
    """A quantile of what a histogram took in."""
    groups = ", ".join(filter(None, ("le", by)))
    return f"histogram_quantile({q}, {fresh(f'{histogram}_bucket{{{labels}}}', groups, span)})"


def median_and(q: float, name: str, histogram: str, labels: str) -> tuple[Query, Query]:
    """The median of a histogram, and another quantile beside it."""
    return (quantile(0.5, histogram, labels), "median"), (quantile(q, histogram, labels), name)


def _targets(
    queries: Sequence[Query], instant: bool = False, form: PromQueryFormat | None = None
) -> list[prometheus.Dataquery]:
    built = []
    for i, (expression, legend) in enumerate(queries):
        query = (
            prometheus.Dataquery().ref_id(chr(ord("A") + i)).datasource(SOURCE).expr(expression).legend_format(legend)
        )
        query = query.instant() if instant else query.range()
        built.append(query.format(form) if form else query)
    return built


def _framed(panel: Framed, title: str, meaning: str, unit: tuple[str, str], width: int, height: int = 8) -> Framed:
    """What all panels have."""
    panel.title(title).description(f"{meaning} Unit: {unit[1]}.").datasource(SOURCE).span(width).height(height)
    if not isinstance(panel, heatmap.Panel):
        panel.unit(unit[0])
    return panel


def lines(
    title: str,
    meaning: str,
    unit: tuple[str, str],
    *queries: Query,
    width: int = 12,
    bars: bool = False,
    most: float | None = None,
) -> timeseries.Panel:
    """Curves over time, or stacked bars. unit: Grafana's name for it, and ours; most: upper end of the axis."""
    panel = (
        _framed(timeseries.Panel(), title, meaning, unit, width)
        .min(0)
        .fill_opacity(10)
        .interval("1m" if bars else "15s")
        .legend(common_builders.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST).show_legend(True))
    )
    if bars:
        stacking = common_builders.StackingConfig().mode(common.StackingMode.NORMAL)
        panel = panel.draw_style(common.GraphDrawStyle.BARS).fill_opacity(80).stacking(stacking)
    if most is not None:
        panel = panel.max(most)
    for target in _targets(queries):
        panel = panel.with_target(target)
    return panel


def number(
    title: str,
    meaning: str,
    unit: tuple[str, str],
    query: str,
    width: int = 4,
    words: dict[str, tuple[str, str]] | None = None,
) -> stat.Panel:
    """One number. words: value to what is shown for it, and its colour."""
    panel = _framed(stat.Panel(), title, meaning, unit, width, 4).graph_mode(common.BigValueGraphMode.NONE)
    if words:
        options = {value: models.ValueMappingResult(text=text, color=color) for value, (text, color) in words.items()}
        panel = panel.mappings([models.ValueMap(options)])
    [target] = _targets([(query, "")], instant=True)
    return panel.with_target(target)


def map_over_time(title: str, meaning: str, unit: tuple[str, str], query: Query, width: int = 24) -> heatmap.Panel:
    """A row a series, a column an interval, coloured by value."""
    [target] = _targets([query])
    colours = heatmap.HeatmapColorOptions().mode(heatmap_models.HeatmapColorMode.SCHEME).scheme("Oranges").steps(32)
    return (
        _framed(heatmap.Panel(), title, meaning, unit, width, 10)
        .interval("1m")
        .calculate(False)
        .color(colours)
        .cell_values(heatmap.CellValues().unit(unit[0]))
        .with_target(target)
    )


def ranking(title: str, meaning: str, unit: tuple[str, str], query: Query, width: int = 12) -> bargauge.Panel:
    """A bar a series, for the whole range of time that is shown."""
    [target] = _targets([query], instant=True)
    return (
        _framed(bargauge.Panel(), title, meaning, unit, width)
        .min(0)
        .orientation(common.VizOrientation.HORIZONTAL)
        .with_target(target)
    )


def listing(title: str, meaning: str, unit: tuple[str, str], query: str, link: str, width: int = 12) -> table.Panel:
    """A table of labels and values, newest first, each line leading to a camera."""
    [target] = _targets([(query, "")], instant=True, form=PromQueryFormat.TABLE)
    hidden = models.DynamicConfigValue("custom.hidden", True)
    leads = models.DynamicConfigValue("links", [{"title": "Open this camera", "url": link}])
    return (
        _framed(table.Panel(), title, meaning, unit, width)
        .override_by_name("Time", [hidden])
        .override_by_name("camera", [leads])
        .with_target(target)
    )


def variable(name: str, label: str, query: str, many: bool = True) -> dashboard.QueryVariable:
    """A choice among the values of a label."""
    built = (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    if many:
        return (
            built.multi(True)
            .include_all(True)
            .all_value(".+")
            .current(models.VariableOption(text="All", value="$__all"))
        )
    return built


SEEN: Final = '{__name__=~"microex_(ingest_frames_captured|recognizer_detections)_total", %s}'
IN_SESSION: Final = NAMESPACE + ', session=~"$session"'


def board(uid: str, title: str, text: str, scope: Literal["cluster", "cameras", "camera"]) -> dashboard.Dashboard:
    """An empty dashboard with its variables and the links to the others. scope: what can be chosen."""
    built = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags([TAG])
        .readonly()
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink(TAG)
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(dashboard.DatasourceVariable("source").label("Source").type("prometheus"))
        .with_variable(variable("namespace", "Namespace", 'label_values(up{job=~"microex-.+"}, namespace)'))
    )
    if scope != "cluster":
        sessions = f"label_values({SEEN % NAMESPACE}, session)"
        cameras = f"label_values({SEEN % IN_SESSION}, camera)"
        many = scope == "cameras"
        built = built.with_variable(variable("session", "Session", sessions, many))
        built = built.with_variable(variable("camera", "Camera", cameras, many))
    return built


def row(built: dashboard.Dashboard, title: str, *panels: Panel) -> dashboard.Dashboard:
    """Add a row with its panels."""
    built = built.with_row(dashboard.Row(title))
    for panel in panels:
        built = built.with_panel(panel)
    return built
