"""The pages of `dkron report`: jobs and executions → HTML, with charts as inline SVG. Pure.

Pages are whole by themselves: no script, no font and no picture is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape
from typing import Final, NamedTuple
from urllib.parse import quote

from dkronpy.cli.stats import ENDED, duration, stats_of
from dkronpy.cli.times import show_span, show_time
from dkronpy.client import Day, Execution, Job

_STYLE: Final = """
:root {
  --text: #1b1f24; --dim: #6a737d; --line: #e1e4e8; --back: #fff; --good: #1a7f37; --bad: #cf222e; --odd: #9a6700 }
@media (prefers-color-scheme: dark) { :root {
  --text: #e6edf3; --dim: #8b949e; --line: #30363d; --back: #0d1117; --good: #3fb950; --bad: #f85149; --odd: #d29922 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem } a { color: inherit }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--dim); font-weight: 500 }
.success, .ok { color: var(--good) } .failed, .timed_out, .lost, .critical { color: var(--bad) }
.killed, .skipped, .missed, .partially_failed, .warning, .unknown { color: var(--odd) }
pre { background: color-mix(in srgb, var(--line) 35%, var(--back)); padding: 1rem; white-space: pre-wrap;
  overflow-wrap: anywhere }
footer, .dim { color: var(--dim) } svg { max-width: 100% } svg .g { fill: var(--good) } svg .b { fill: var(--bad) }
svg text { fill: var(--dim); font: 11px system-ui, sans-serif }
"""
FAILED: Final = ("failed", "timed_out", "killed", "lost")
_BAD_SHOWN, _RUNS_SHOWN = 10, 25


class Frame(NamedTuple):
    """What every page has: `made` is when (RFC 3339), `server` of what, `ending` that of the files' names."""

    made: str
    server: str
    ending: str = ".html"

    def page(self, title: str, body: str, root: str) -> str:
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            f"<style>{_STYLE}</style></head><body>"
            f'<p class="dim"><a href="{root}index{self.ending}">All jobs</a></p><h1>{escape(title)}</h1>{body}'
            f"<footer><p>Of {escape(self.server)}, {escape(show_time(self.made))}.</p></footer></body></html>\n"
        )

    def job_link(self, name: str, root: str) -> str:
        return f'<a href="{root}{quote(name)}/index{self.ending}">{escape(name)}</a>'

    def run_link(self, run: Execution, root: str, text: str) -> str:
        if run["state"] not in ENDED:
            return escape(text)
        return f'<a href="{root}{quote(run["job_name"])}/{quote(file_name(run["id"]))}{self.ending}">{escape(text)}</a>'


def file_name(execution: str) -> str:
    """An execution's id as the name of a file: names of nodes may have a slash."""
    return execution.replace("/", "_")


def index_page(frame: Frame, jobs: Sequence[Job], runs: Sequence[Execution], days: Sequence[Day]) -> str:
    """All jobs; `runs` newest first."""
    bad = [run for run in runs if run["state"] in FAILED][:_BAD_SHOWN]
    ran = [run for run in runs if run["state"] in ENDED][:_RUNS_SHOWN]
    stats = {found.name: found for found in stats_of(runs)}
    rows: list[Sequence[str]] = []
    for job in jobs:
        found = stats.get(job["name"])
        rows.append(
            (
                frame.job_link(job["name"], ""),
                escape(job["schedule"]),
                _state(job.get("check") or ("disabled" if job["disabled"] else job["status"] or "never ran")),
                show_time(max(filter(None, (job["last_success"], job["last_error"])), key=_at, default=None)),
                show_time(job["last_success"]),
                f"{found.rate * 100:.4g} %" if found else "",
                bars(found.durations[-40:], found.outcomes[-40:], width=120, height=20) if found else "",
            )
        )
    heads = ("Job", "Schedule", "State", "Last run", "Last success", "Success", "Durations of the last runs")
    return frame.page(
        "Jobs",
        (f"<h2>Runs of each day</h2>{day_chart(days)}" if days else "")
        + _section("The last that failed", _runs(frame, bad, "", job=True))
        + _section("The last runs", _runs(frame, ran, "", job=True))
        + _section("Jobs", _table(heads, rows)),
        "",
    )


def job_page(frame: Frame, job: Job, runs: Sequence[Execution]) -> str:
    """One job and its runs, newest first."""
    stats = stats_of(runs)
    facts: dict[str, str] = {
        "Schedule": job["schedule"],
        "Time zone": job["timezone"],
        "After": job["parent_job"],
        "Owner": job["owner"],
        "Command": (job["executor_config"] or {}).get("command", ""),
        "Next": show_time(job["next"]) if job["next"] else "",
    }
    chart = ""
    if stats:
        found, record = stats[0], stats[0].record()
        facts["Success"] = f"{found.success} of {found.success + found.failed} runs, {found.rate * 100:.4g} %"
        named = (("median", "p50"), ("90 %", "p90"), ("longest", "max"))
        facts["Durations"] = ", ".join(f"{name} {show_span(record[key])}" for name, key in named if found.durations)
        chart = bars(found.durations[-200:], found.outcomes[-200:], width=900, height=120, scale=True)
    list_of_facts = _table((), [(escape(name), _text(text)) for name, text in facts.items() if text])
    title = job["displayname"] or job["name"]
    body = list_of_facts + (f"<h2>Durations</h2>{chart}" if chart else "") + _section("Runs", _runs(frame, runs, "../"))
    return frame.page(title, body, "../")


def run_page(frame: Frame, run: Execution, output: str, cut: str) -> str:
    """One run with its output; `cut` says what of the output is left out."""
    facts = [
        ("Job", frame.job_link(run["job_name"], "../")),
        ("State", _state(run["state"]) + (f" ({_state(run['check'])})" if run.get("check") else "")),
        ("Exit code", "" if run["exit_code"] is None else str(run["exit_code"])),
        ("Error", escape(run["error"])),
        ("Node", escape(run["node_name"])),
        ("Trigger", escape(" ".join(filter(None, (run["trigger"], run.get("trigger_description")))))),
        ("Due", show_time(run["fire_time"])),
        ("Started", show_time(run["started_at"])),
        ("Finished", show_time(run["finished_at"])),
        ("Took", _took(run)),
    ]
    shown = f'<p class="dim">{escape(cut)}</p>' if cut else ""
    table = _table((), [fact for fact in facts if fact[1]])
    return frame.page(
        f"{run['job_name']} {run['id']}", f"{table}<h2>Output</h2>{shown}<pre>{escape(output)}</pre>", "../"
    )


def bars(values: Sequence[float], good: Sequence[bool], *, width: int, height: int, scale: bool = False) -> str:
    """A chart of durations (seconds), oldest first: a bar for each run, in the colour of its outcome."""
    most = max(values, default=0.0) or 1.0
    step = min(width / max(len(values), 1), 24.0)
    drawn: list[str] = []
    for index, (value, success) in enumerate(zip(values, good, strict=True)):
        tall = max(height * value / most, 1.0)
        drawn.append(
            f'<rect class="{"g" if success else "b"}" x="{index * step:.1f}" y="{height - tall:.1f}" '
            f'width="{max(step - min(step / 5, 1), 0.5):.1f}" height="{tall:.1f}">'
            f"<title>{show_span(value)}</title></rect>"
        )
    label = f'<text x="0" y="{height + 13}">up to {show_span(most)}</text>' if scale else ""
    return _svg(width, height + (16 if scale else 0), "".join(drawn) + label, "Durations of runs")


def day_chart(days: Sequence[Day]) -> str:
    """Successes and failures of each day, the latter on top."""
    width, height = 900, 120
    most = max((day["success_count"] + day["failed_count"] for day in days), default=0) or 1
    step = width / max(len(days), 1)
    drawn: list[str] = []
    for index, day in enumerate(days):
        good, bad = (height * day[key] / most for key in ("success_count", "failed_count"))
        about = f"{day['date']}: {day['success_count']} succeeded, {day['failed_count']} failed"
        place = f'x="{index * step:.1f}" width="{max(step - 2, 1):.1f}"'
        drawn.append(
            f"<g><title>{escape(about)}</title>"
            f'<rect class="g" {place} y="{height - good:.1f}" height="{good:.1f}"/>'
            f'<rect class="b" {place} y="{height - good - bad:.1f}" height="{bad:.1f}"/></g>'
        )
    if days:
        drawn.append(f'<text x="0" y="{height + 13}">{escape(days[0]["date"])}</text>')
        drawn.append(f'<text x="{width}" y="{height + 13}" text-anchor="end">{escape(days[-1]["date"])}</text>')
    return _svg(width, height + 16, "".join(drawn), "Runs of each day")


def _svg(width: int, height: int, body: str, label: str) -> str:
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(label)}">{body}</svg>'
    )


def _runs(frame: Frame, runs: Iterable[Execution], root: str, *, job: bool = False) -> str:
    heads = (*(("Job",) if job else ()), "Due", "State", "Exit code", "Took", "Node", "Trigger", "Cause")
    rows = [
        (
            *((frame.job_link(run["job_name"], root),) if job else ()),
            frame.run_link(run, root, show_time(run["fire_time"])),
            _state(run.get("check") or run["state"]),
            "" if run["exit_code"] is None else str(run["exit_code"]),
            _took(run),
            escape(run["node_name"]),
            escape(run["trigger"]),
            escape(run["reason"].replace("_", " ") or run["error"])
            + (f" (×{run['count']})" if run["count"] > 1 else ""),
        )
        for run in runs
    ]
    return _table(heads, rows) if rows else ""


def _section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2>{body}" if body else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """`rows` are HTML already."""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if heads else ''}<tbody>{body}</tbody></table>"


def _text(text: str) -> str:
    """A text as HTML, one of several lines as it is."""
    return f"<pre>{escape(text)}</pre>" if "\n" in text else escape(text)


def _state(state: str) -> str:
    return f'<span class="{escape(state)}">{escape(state.replace("_", " "))}</span>'


def _took(run: Execution) -> str:
    seconds = duration(run)
    return "" if seconds is None else show_span(seconds)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
