"""The report as one HTML page that needs no network: charts are SVG inside it."""

from __future__ import annotations

from typing import Any, Final

from label_studio_quorum.port import Json
from review_rules import Stage

_TEMPLATE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{{ r.campaign }} · report</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; }
th { text-align: left; font-weight: 600; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
.low { color: #a4262c; font-weight: 600; } .dim { color: #666; } figure { margin: 0 0 1.5rem; }
</style></head><body>
<h1>{{ r.campaign }}</h1>
<p class="dim">{{ r.rows }} rows · policy {{ r.policy[:19] }}…</p>
<h2>Where the rows stand</h2>
<figure>{{ states | safe }}</figure>
<h2>People</h2>
<figure>{{ people | safe }}</figure>
<table><tr><th>person<th>roles<th class="n">passes<th class="n">QA<th class="n">expert<th class="n">not counted
<th class="n">hours<th class="n">rows/h<th class="n">agreement<th class="n">accuracy<th class="n">cost</tr>
{% for p in r.people %}<tr><td>{{ p.id }}<td>{{ p.roles | join(", ") }}
<td class="n">{{ p.counted.pass }}<td class="n">{{ p.counted.qa }}<td class="n">{{ p.counted.expert }}
<td class="n">{{ p.submitted.values() | sum - p.counted.values() | sum }}
<td class="n">{{ "%.1f" | format(p.hours) }}
<td class="n{{ ' low' if below(p.rows_per_hour, r.targets.rows_per_hour) }}">{{ number(p.rows_per_hour) }}
<td class="n{{ ' low' if below(p.agreement, r.targets.agreement) }}">{{ share(p.agreement) }}
<td class="n{{ ' low' if below(p.accuracy, r.targets.accuracy) }}">{{ share(p.accuracy) }}
<td class="n">{{ number(p.cost) }}</tr>
{% endfor %}</table>
<p class="dim">Agreement: fields of a person's passes on which the other pass agreed. Accuracy: fields of a person's
passes that equal the final value. Hours: time between opening and submitting, pauses included. Red: below the
policy's target.</p>
{% if r.people | selectattr("practice_hours", "defined") | list %}<h2>Qualification and practice</h2>
<table><tr><th>person<th>qualified for<th class="n">practised<th class="n">practice hours</tr>
{% for p in r.people if p.practice_hours is defined %}<tr><td>{{ p.id }}
<td>{% for q in p.qualified %}{{ q.title }} {{ q.state }}{{ ", " if not loop.last }}{% else %}–{% endfor %}
<td class="n">{{ p.practised }}<td class="n">{{ "%.2f" | format(p.practice_hours) }}</tr>
{% endfor %}</table>
<p class="dim">Hours leave practice out; the cost holds it where the policy pays for it.</p>{% endif %}
<h2>Fields</h2>
<table><tr><th>field<th>kind<th class="n">passes agree<th class="n">overturned<th>measure<th class="n">value
<th>95 % interval</tr>
{% for f in r.fields %}<tr><td>{{ f.field }}<td>{{ f.kind }}
<td class="n">{{ share(f.agreed) }}<td class="n">{{ share(f.overturned) }}
<td>{{ f.measure or "" }}<td class="n">{{ "%.3f" | format(f.value) if f.value is not none else "–" }}
<td>{% if f.low is not none %}{{ "%.3f" | format(f.low) }} to {{ "%.3f" | format(f.high) }}
{% else %}{{ f.reason or "" }}{% endif %}</tr>
{% endfor %}</table>
<p class="dim">Overturned: of the values on which the passes agreed, those that QA or an expert changed.</p>
{% if r.guidelines.versions | selectattr("versions") | list %}<h2>Guidelines</h2>
<table><tr><th>version<th class="n">rows compared<th class="n">passes agree<th>95 % interval<th class="n">final
<th class="n">overturned<th>95 % interval</tr>
{% for v in r.guidelines.versions %}<tr><td>{{ v.versions | join(" and ") or "not known" }}<td class="n">{{ v.rows }}
<td class="n">{{ share(v.agreed.share) }}<td>{{ span(v.agreed) }}<td class="n">{{ v.final }}
<td class="n">{{ share(v.overturned.share) }}<td>{{ span(v.overturned) }}</tr>
{% endfor %}</table>
<p class="dim">By the versions that a row's passes were given under. Agree: rows whose passes agree on every field.
Overturned: final rows in which QA or an expert changed a value that the passes agreed on. Versions are not drawn
by lot: what else changed with them is in the difference too.</p>{% endif %}
{% if r.guidelines.paragraphs %}<h2>Paragraphs of the guidelines</h2>
<table><tr><th>paragraph<th class="n">rows in conflict<th class="n">flagged as a gap<th class="n">questions</tr>
{% for p in r.guidelines.paragraphs %}<tr><td>{{ p.title or "Beginning" }}<td class="n">{{ p.conflicts }}
<td class="n">{{ p.gaps }}<td class="n">{{ p.questions }}</tr>
{% endfor %}</table>
<p class="dim">Conflicts count for the paragraphs that name the labels in conflict, else their field; flags and
questions for those that their text names.</p>{% endif %}
<h2>Stages</h2>
<table><tr><th>stage<th class="n">submitted<th class="n">counted<th class="n">hours<th class="n">median seconds</tr>
{% for name, s in r.stages.items() %}<tr><td>{{ name }}<td class="n">{{ s.submitted }}<td class="n">{{ s.counted }}
<td class="n">{{ "%.1f" | format(s.hours) }}<td class="n">{{ number(s.median_seconds) }}</tr>
{% endfor %}</table>
{% if r.returns.returns %}<p>Returned by QA: {{ r.returns.rows }} rows, {{ r.returns.returns }} times;
{{ r.returns.waiting }} wait for their people. Passes that were given back:
{% for p in r.people if p.returned %}{{ p.id }} {{ p.returned }}{{ "" if loop.last else ", " }}{% endfor %}.</p>
{% endif %}
{% if r.findings %}<h2>Findings</h2>
<table><tr><th>id<th class="n">times</tr>
{% for id, count in r.findings.items() %}<tr><td>{{ id }}<td class="n">{{ count }}</tr>{% endfor %}</table>
{% endif %}</body></html>
"""


def render(report: Json) -> str:
    """The page for what `label_studio_quorum.quality.report.build` made; everything people named is escaped.

    Raises:
        ImportError: The extra `report` is not installed.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.globals.update(below=_below, share=_share, number=_number, span=_span)
    return environment.from_string(_TEMPLATE).render(r=report, states=_states(report), people=_people(report)) + "\n"


def _below(value: float | None, target: float | None) -> bool:
    return value is not None and target is not None and value < target


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _span(share: Json) -> str:
    return "–" if share["share"] is None else f"{share['low']:.0%} to {share['high']:.0%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"


def _states(report: Json) -> str:
    values = [{"state": state, "rows": count} for state, count in report["states"].items()]
    return _bars(values, "rows", "state", [value["state"] for value in values])


def _people(report: Json) -> str:
    values = [
        {"person": person["id"], "stage": stage, "counted": count}
        for person in report["people"]
        for stage, count in person["counted"].items()
    ]
    return _bars(values, "counted", "person", [person["id"] for person in report["people"]], color="stage")


def _bars(values: list[Json], x: str, y: str, order: list[str], color: str | None = None) -> str:
    """A bar chart as SVG text; vl-convert escapes what it draws."""
    import altair
    import vl_convert

    encoding: dict[str, Any] = {
        "x": altair.X(x, type="quantitative", title=x),
        "y": altair.Y(y, type="nominal", sort=order, title=None),
    }
    if color is not None:
        encoding["color"] = altair.Color(color, type="nominal", sort=[stage.value for stage in Stage], title=None)
    chart = altair.Chart(altair.Data(values=values)).mark_bar().encode(**encoding).properties(width=640)
    return str(vl_convert.vegalite_to_svg(chart.to_dict()))
