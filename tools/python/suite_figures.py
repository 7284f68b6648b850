"""What a running suite says of itself, gathered through the edge and from the processes' /metrics.

Each part is asked for on its own; one that cannot be had is named with the reason, and the rest is
given all the same."""

import http.client
import json
import re
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from client import ApiError, Client

DATABASE = "/api/v1/performance/database"
PARTS = {
    "health": "/async-monitoring/health",
    "overview": "/async-monitoring/admin/monitoring",
    "routes": "/api/v1/performance/metrics/summary?window_minutes=60",
    "cache": "/api/v1/performance/cache/stats",
    "queue": "/api/v1/async-tasks/queue/stats",
    "notifications": "/api/v1/notifications/stats",
    "database": f"{DATABASE}/stats?limit_count=50",
    "recommendations": f"{DATABASE}/recommendations?page_size=100&status=PROPOSED",
}
_SAMPLE = re.compile(r"^(slipstream_process_[a-z_]+) ([0-9.eE+-]+)$", re.MULTILINE)


@dataclass
class Figures:
    """`parts`: the edge's answers by name. `missing`: why a part is not there, by name.
    `processes`: figures of each process by name, empty when no address of theirs is known."""
    taken_at: str
    edge: str
    parts: dict = field(default_factory=dict)
    missing: dict = field(default_factory=dict)
    processes: dict = field(default_factory=dict)

    def part(self, name: str) -> dict:
        return self.parts.get(name, {})


def num(value) -> float:
    """A figure of a JSON answer: numbers come as such, 64-bit ones may come as text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def why(error: ApiError) -> str:
    """What an error says, in one line, with its reason."""
    if error.problem.get("reason") == "NOT_BUILT_YET":
        return "the running suite does not have it yet (NOT_BUILT_YET)"
    return f"{error.status} {error.problem.get('reason', '')}: {error.problem.get('detail', '')}"


def _scrape(address: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {name.removeprefix("slipstream_process_"): float(value)
            for name, value in _SAMPLE.findall(text)}


def _process_figures(addresses: dict[str, str], pause_s: float) -> tuple[dict, dict]:
    """Two looks at each process, `pause_s` apart: processor time is a rate."""
    first, missing, out = {}, {}, {}
    for name, address in addresses.items():
        try:
            first[name] = (_scrape(address), time.monotonic())
        except (OSError, http.client.HTTPException) as error:
            missing[f"process {name}"] = f"{address} gives no /metrics: {error}"
    if first:
        time.sleep(pause_s)
    for name, (before, at) in first.items():
        try:
            after = _scrape(addresses[name])
        except (OSError, http.client.HTTPException) as error:
            missing[f"process {name}"] = f"{addresses[name]} gives no /metrics: {error}"
            continue
        used = sum(after.get(k, 0) - before.get(k, 0)
                   for k in ("cpu_user_seconds_total", "cpu_system_seconds_total"))
        out[name] = {"cpu_cores": round(max(used, 0) / max(time.monotonic() - at, 1e-3), 3),
                     "resident_bytes": int(after.get("resident_memory_bytes", 0)),
                     "open_files_count": int(after.get("open_fds", 0)),
                     "max_files_count": int(after.get("max_fds", 0)),
                     "threads_count": int(after.get("threads", 0))}
    return out, missing


def gather(client: Client, metrics_addresses: dict[str, str], pause_s: float = 1.0) -> Figures:
    """Asks for every part. OSError when the edge itself cannot be reached."""
    figures = Figures(taken_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                      edge=f"http://{client.host}:{client.port}")
    for name, path in PARTS.items():
        try:
            figures.parts[name] = client.get(path)
        except ApiError as error:
            figures.missing[name] = why(error)
        except json.JSONDecodeError:
            figures.missing[name] = "the answer is not JSON; is this address an edge?"
    figures.processes, missing = _process_figures(metrics_addresses, pause_s)
    figures.missing.update(missing)
    if not metrics_addresses:
        figures.missing["processes"] = ("no process's /metrics address is known; name them with "
                                        "--metrics NAME=HOST:PORT")
    return figures


def metrics_addresses(run_state: dict, named: list[str]) -> dict[str, str]:
    """From --metrics NAME=HOST:PORT, or of the local suite. ValueError for another form."""
    if not named:
        return {name: f"127.0.0.1:{port}" for name, port in run_state.get("http", {}).items()}
    out = {}
    for entry in named:
        name, equals, address = entry.partition("=")
        if not equals or not urllib.parse.urlsplit(f"//{address}").port:
            raise ValueError(f"--metrics {entry}: write NAME=HOST:PORT")
        out[name] = address
    return out
