"""A suite's findings as JSON, Markdown, a page of HTML, or lines for a terminal."""

import html
import json

from suite_figures import Figures, num
from suite_findings import AREAS, Finding, summary_of

FORMATS = ["json", "html", "md"]
MAX_EVIDENCE = 300  # characters of one figure

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8881; --critical: #b91c1c;
        --warning: #a16207; --info: #2563eb; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1.5rem; max-width: 72rem; }
h1 { font-size: 1.5rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
h2::first-letter { text-transform: uppercase; }
p.meta { margin: .2rem 0 1rem; opacity: .75; }
.counts { display: flex; gap: .6rem; flex-wrap: wrap; padding: 0; list-style: none; }
.counts li { border: 1px solid var(--line); border-radius: .4rem; padding: .3rem .8rem; }
.counts b { font-size: 1.2rem; margin-right: .3rem; }
dl.figures { display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; margin: .5rem 0 1rem; }
dl.figures div { display: flex; gap: .4rem; }
dt { opacity: .75; }
dd { margin: 0; overflow-wrap: anywhere; }
article { border: 1px solid var(--line); border-left: .35rem solid var(--tone);
          border-radius: .4rem; padding: .6rem .9rem; margin: .6rem 0; }
article h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
.tag { display: inline-block; color: #fff; background: var(--tone); border-radius: .25rem;
       font-size: .75rem; padding: 0 .45rem; margin-right: .4rem; text-transform: uppercase; }
.critical { --tone: var(--critical); } .warning { --tone: var(--warning); }
.info { --tone: var(--info); }
article p { margin: .3rem 0; overflow-wrap: anywhere; }
details { font-size: .9rem; }
pre { background: var(--soft); padding: .6rem; border-radius: .3rem; overflow-x: auto;
      white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; }
code { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .5rem; text-align: left;
         vertical-align: top; overflow-wrap: anywhere; }
td:not(:first-child), th { white-space: nowrap; }
td.number, th.number { text-align: right; }
th:first-child { min-width: 14rem; }
"""


_LABELS = {"critical": "critical", "warning": "warnings", "info": "for information"}


def _counts(findings: list[Finding]) -> dict[str, int]:
    return {s: sum(f.severity == s for f in findings) for s in ("critical", "warning", "info")}


def _text(value) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_EVIDENCE else text[:MAX_EVIDENCE - 3] + "..."


def _setting(finding: Finding) -> str:
    if not finding.setting:
        return ""
    return finding.setting + (f": {finding.value}" if finding.value else "")


def as_json(figures: Figures, findings: list[Finding], detailed: bool) -> str:
    out = {"taken_at": figures.taken_at, "edge": figures.edge, "counts": _counts(findings),
           "summary": summary_of(figures), "findings": [f.as_dict() for f in findings],
           "missing": figures.missing}
    if detailed:
        out["figures"] = {**figures.parts, "processes": figures.processes}
    return json.dumps(out, indent=2, ensure_ascii=False) + "\n"


def _tables(figures: Figures) -> list[tuple[str, list[str], list[list]]]:
    """What --detailed adds: title, columns and rows."""
    database = figures.part("database")
    out = [
        ("Top statements", ["statement", "calls", "total ms", "mean ms", "p95 ms"],
         [[_text(q.get("statement", "")), num(q.get("calls_count")), num(q.get("total_ms")),
           num(q.get("mean_ms")), num(q.get("p95_ms"))]
          for q in database.get("top_queries", [])[:20]]),
        ("Slow statements", ["statement", "ms", "severity", "when"],
         [[_text(q.get("statement", "")), num(q.get("duration_ms")), q.get("severity", ""),
           q.get("occurred_at", "")[:19]] for q in database.get("slow_queries", [])[:20]]),
        ("Tables", ["table", "bytes", "bloat bytes", "dead rows", "live rows", "vacuum age s"],
         [[t.get("table", ""), num(t.get("total_bytes")), num(t.get("bloat_bytes")),
           num(t.get("dead_rows_count")), num(t.get("live_rows_count")), num(t.get("vacuum_age_s"))]
          for t in database.get("tables", [])[:20]]),
        ("Replicas", ["replica", "lag ms", "lag bytes"],
         [[r.get("name", ""), num(r.get("lag_ms")), num(r.get("lag_bytes"))]
          for r in database.get("replicas", [])]),
        ("Cache by type", ["type", "hits", "misses", "stale", "hit ratio"],
         [[t.get("type", ""), *(num(t.get("counters", {}).get(k)) for k in
                                ("hits_count", "misses_count", "stale_count", "hit_ratio"))]
          for t in figures.part("cache").get("types", [])]),
        ("Workers", ["worker", "slots", "held", "connected"],
         [[w.get("worker_name", ""), num(w.get("slots")), num(w.get("held_count")),
           w.get("connected_at", "")[:19]] for w in figures.part("queue").get("workers", [])]),
        ("Routes of the last hour", ["route", "requests", "errors", "p50 ms", "p95 ms", "p99 ms"],
         [[r.get("route", ""), *(num(r.get(k)) for k in
                                 ("requests_count", "errors_count", "p50_ms", "p95_ms", "p99_ms"))]
          for r in figures.part("routes").get("routes", [])[:20]]),
        ("Processes", ["process", "cores", "resident bytes", "open files", "threads"],
         [[name, p["cpu_cores"], p["resident_bytes"], p["open_files_count"], p["threads_count"]]
          for name, p in figures.processes.items()]),
    ]
    return [table for table in out if table[2]]


def _cell(value) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


# -- Markdown ------------------------------------------------------------------------------------


def _md(text) -> str:
    """A text within a line or a table's cell: nothing of it is markup."""
    text = " ".join(str(text).split())
    return "".join("\\" + c if c in "\\`*_[]<>|#" else c for c in text)


def as_md(figures: Figures, findings: list[Finding], detailed: bool) -> str:
    counts = _counts(findings)
    lines = ["# Slipstream report", "",
             f"{_md(figures.edge)}, {figures.taken_at}: {counts['critical']} critical, "
             f"{counts['warning']} warnings, {counts['info']} for information", ""]
    summary = summary_of(figures)
    for area in AREAS:
        lines += [f"## {area.capitalize()}", ""]
        if summary.get(area):
            lines += [", ".join(f"{_md(k)} {_md(v)}" for k, v in summary[area].items()), ""]
        found = [f for f in findings if f.area == area]
        for f in found:
            lines.append(f"- **{f.severity}** {_md(f.object)}: {_md(f.finding)}")
            if f.suggestion:
                lines.append(f"  - do: {_md(f.suggestion)}")
            if f.setting:
                lines.append(f"  - setting: {_md(_setting(f))}")
            lines += [f"  - {_md(k)}: {_md(_text(v))}" for k, v in f.evidence.items()]
        lines += [""] if found else ["Nothing found.", ""]
    for title, columns, rows in _tables(figures) if detailed else []:
        lines += [f"## {title}", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(_md(_cell(v)) for v in row) + " |" for row in rows]
        lines.append("")
    return "\n".join(lines)


# -- HTML ----------------------------------------------------------------------------------------


def _article(f: Finding) -> str:
    esc = html.escape
    out = [f'<article class="{f.severity}"><h3><span class="tag">{f.severity}</span>'
           f"{esc(f.object)}</h3><p>{esc(f.finding)}</p>"]
    if f.suggestion:
        out.append(f"<p>Do: {esc(f.suggestion)}</p>")
    if f.setting:
        out.append(f"<p>Setting: <code>{esc(_setting(f))}</code></p>")
    if f.evidence:
        evidence = json.dumps(f.evidence, indent=2, ensure_ascii=False)
        out.append(f"<details><summary>Evidence</summary><pre>{esc(evidence)}</pre></details>")
    return "".join(out) + "</article>"


def as_html(figures: Figures, findings: list[Finding], detailed: bool) -> str:
    """One page without scripts and without anything from elsewhere."""
    esc = html.escape
    out = ['<!doctype html><html lang="en"><head><meta charset="utf-8">',
           '<meta name="viewport" content="width=device-width, initial-scale=1">',
           f"<title>Slipstream report</title><style>{_STYLE}</style></head><body>",
           "<h1>Slipstream report</h1>",
           f'<p class="meta">{esc(figures.edge)}, {esc(figures.taken_at)}</p><ul class="counts">']
    for severity, count in _counts(findings).items():
        out.append(f"<li><b>{count}</b>{_LABELS[severity]}</li>")
    out.append("</ul>")
    summary = summary_of(figures)
    for area in AREAS:
        out.append(f'<section id="{area}"><h2>{area}</h2>')
        if summary.get(area):
            out.append('<dl class="figures">' + "".join(
                f"<div><dt>{esc(str(k).replace('_', ' '))}</dt><dd>{esc(_cell(v))}</dd></div>"
                for k, v in summary[area].items()) + "</dl>")
        found = [f for f in findings if f.area == area]
        out += [_article(f) for f in found] or ["<p>Nothing found.</p>"]
        out.append("</section>")
    for title, columns, rows in _tables(figures) if detailed else []:
        out.append(f'<section><h2>{esc(title)}</h2><div class="scroll"><table><thead><tr>' +
                   "".join(f'<th{" class=number" if isinstance(v, (int, float)) else ""}>{esc(c)}'
                           "</th>" for c, v in zip(columns, rows[0])) + "</tr></thead><tbody>")
        for row in rows:
            out.append("<tr>" + "".join(
                f'<td{" class=number" if isinstance(v, (int, float)) else ""}>{esc(_cell(v))}</td>'
                for v in row) + "</tr>")
        out.append("</tbody></table></div></section>")
    return "".join(out) + "</body></html>\n"


# -- terminal ------------------------------------------------------------------------------------


def as_lines(figures: Figures, findings: list[Finding], detailed: bool) -> str:
    out, summary = [], summary_of(figures)
    for area in AREAS:
        figures_of_area = ", ".join(f"{k} {_cell(v)}" for k, v in summary.get(area, {}).items())
        out.append(f"{area}: {figures_of_area or 'no figures'}")
        for f in [f for f in findings if f.area == area]:
            out.append(f"  {f.severity:<8} {f.object}: {f.finding}")
            if f.suggestion:
                out.append(f"           do: {f.suggestion}")
            if f.setting:
                out.append(f"           setting: {_setting(f)}")
            if detailed:
                out += [f"           {k}: {_text(v)}" for k, v in f.evidence.items()]
    counts = _counts(findings)
    out.append(f"{counts['critical']} critical, {counts['warning']} warnings, "
               f"{counts['info']} for information")
    return "\n".join(out) + "\n"


RENDER = {"json": as_json, "md": as_md, "html": as_html}
