"""What is worth changing in a running suite: rules over its figures, each finding with the figures
it rests on and, where a setting would help, the setting and a value for it.

Pure functions of the figures. No rule speaks without enough evidence: the least counts stand here."""

from dataclasses import asdict, dataclass, field

from suite_figures import Figures, num

AREAS = ["database", "cache", "queue", "workers", "resources"]
SEVERITIES = ["critical", "warning", "info"]

MIN_READS = 1000          # of the cache, before its hit ratio says something
LOW_HIT_RATIO = 0.5
FULL_SHARE = 0.9          # of a bound, before it counts as reached
OLD_WAIT_MS = 60_000
STALE_HEARTBEATS = 3
LOW_BUFFER_HIT_RATIO = 0.9
MIN_ATTEMPTS = 20


@dataclass
class Finding:
    area: str
    severity: str               # critical, warning, info
    object: str                 # what it is about
    finding: str                # what was seen
    evidence: dict = field(default_factory=dict)
    suggestion: str = ""        # what to do
    setting: str = ""           # its name in the configuration; empty when none helps
    value: str = ""             # the suggested value

    def as_dict(self) -> dict:
        return asdict(self)


def _mib(size: float) -> str:
    return f"{size / (1 << 20):.1f} MiB"


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


# -- database ------------------------------------------------------------------------------------

# By kind of alert: what to do beyond what its message says, and a setting that helps.
_ALERT_ADVICE = {
    "SLOW_QUERY": ("look at its plan, and at `slipctl optimize`", "", ""),
    "N_PLUS_ONE": ("read the rows with one statement (a join, or = ANY($1))", "", ""),
    "LOCK_WAIT": ("end or shorten the transaction at the root", "lock_timeout (of who locks)", "5s"),
    "BLOAT": ("", "autovacuum_vacuum_scale_factor (of the table)", "0.02"),
    "VACUUM": ("", "autovacuum_vacuum_scale_factor (of the table)", "0.02"),
    "WRAPAROUND": ("", "autovacuum_freeze_max_age (postgresql.conf)", "200000000"),
    "REPLICA_LAG": ("look at the replica's load and disk; long reads on it delay the replay",
                    "max_standby_streaming_delay (of the replica)", "10s"),
    "LEAKED_CONNECTION": ("find where the holder forgets it",
                          "idle_in_transaction_session_timeout (postgresql.conf)", "60s"),
    "UNREACHABLE": ("check that PostgreSQL runs and that the network lets the optimizer through",
                    "database_optimizer.postgres_url", ""),
}
# By kind of alert: the list of its figures, and the field that names its object.
_ALERT_EVIDENCE = {
    "SLOW_QUERY": ("slow_queries", "fingerprint"), "N_PLUS_ONE": ("n_plus_one_patterns",
                                                                  "fingerprint"),
    "LOCK_WAIT": ("lock_waits", "object"), "BLOAT": ("tables", "table"), "VACUUM": ("tables", "table"),
    "WRAPAROUND": ("tables", "table"), "REPLICA_LAG": ("replicas", "name"),
}


def _alert(alert: dict, stats: dict) -> Finding:
    kind = alert.get("kind", "")
    suggestion, setting, value = _ALERT_ADVICE.get(kind, ("", "", ""))
    listed, name = _ALERT_EVIDENCE.get(kind, ("", ""))
    about = [entry for entry in stats.get(listed, []) if entry.get(name) == alert.get("object")]
    figures = {k: v for k, v in about[0].items() if v not in ("", [])} if about else {}
    evidence = {"kind": kind, "since": alert.get("raised_at"), **figures}
    return Finding("database", alert.get("severity", "WARNING").lower(), alert.get("object", ""),
                   alert.get("message", ""), evidence, suggestion, setting, value)


def _database_state(stats: dict) -> list[Finding]:
    out = []
    database, pool = stats.get("database", {}), stats.get("pool", {})
    ratio = num(stats.get("buffer_hit_ratio"))
    if 0 < ratio < LOW_BUFFER_HIT_RATIO:
        out.append(Finding("database", "warning", database.get("name", ""),
                           f"{ratio:.1%} of blocks were found in shared buffers",
                           {"buffer_hit_ratio": ratio, "since": database.get("since", ""),
                            "size_bytes": num(database.get("size_bytes"))},
                           "give PostgreSQL more memory, or read fewer blocks (indexes)",
                           "shared_buffers (postgresql.conf)", "a quarter of the machine's memory"))
    used = sum(num(c.get("count")) for c in database.get("connections", []))
    most = num(database.get("max_connections_count"))
    if most and used >= FULL_SHARE * most:
        out.append(Finding("database", "critical", "connections",
                           f"{used:.0f} of {most:.0f} connections are taken",
                           {"connections": database.get("connections", []), "max": most},
                           "let clients share a pool; a session that idles costs memory too",
                           "database_optimizer.pool.max_connections_count",
                           str(max(int(num(pool.get("max_connections_count")) // 2), 1))))
    if num(pool.get("acquire_timeouts_count")) > 0:
        size = num(pool.get("max_connections_count"))
        out.append(Finding("database", "warning", "pool",
                           f"{num(pool['acquire_timeouts_count']):.0f} callers waited for a "
                           "connection in vain",
                           {key: num(pool.get(key)) for key in
                            ("acquired_count", "acquire_timeouts_count", "p95_wait_ms",
                             "max_connections_count", "waiters_count")},
                           "a larger pool, where the server has connections to spare; or shorter "
                           "statements", "database_optimizer.pool.max_connections_count",
                           str(int(size * 1.5) or 20)))
    if pool.get("circuit_state") == "OPEN":
        out.append(Finding("database", "critical", "pool", "the circuit breaker is open: calls are "
                           "refused at once", {"circuit_state": "OPEN"},
                           "PostgreSQL does not take connections; look at its log"))
    if num(database.get("deadlocks_count")) > 0:
        out.append(Finding("database", "info", database.get("name", ""),
                           f"{num(database['deadlocks_count']):.0f} deadlocks",
                           {"deadlocks_count": num(database["deadlocks_count"]),
                            "since": database.get("since", "since the database was made")},
                           "lock rows in the same order everywhere"))
    return out


def _statements(stats: dict) -> list[Finding]:
    top = stats.get("top_queries", [])
    total = sum(num(q.get("total_ms")) for q in top)
    out = []
    for query in top[:1]:
        share = _share(num(query.get("total_ms")), total)
        if share >= 0.5 and num(query.get("calls_count")) >= MIN_ATTEMPTS:
            out.append(Finding("database", "info", query["fingerprint"],
                               f"one statement takes {share:.0%} of the time of the top {len(top)}",
                               {k: query.get(k) for k in
                                ("statement", "calls_count", "total_ms", "mean_ms", "p95_ms",
                                 "blocks_read_count")},
                               "explain it: POST /api/v1/performance/database/explain"))
    for query in stats.get("slow_queries", []):
        if query.get("severity") != "CRITICAL":
            out.append(Finding("database", "info", query.get("fingerprint", ""),
                               f"a statement took {num(query.get('duration_ms')):.0f} ms",
                               {k: query.get(k) for k in
                                ("statement", "duration_ms", "occurred_at", "trace_id")},
                               _ALERT_ADVICE["SLOW_QUERY"][0]))
    return out


def _database(figures: Figures) -> list[Finding]:
    if "database" in figures.missing:
        reason = figures.missing["database"]
        configured = "POSTGRES_NOT_CONFIGURED" not in reason
        return [Finding("database", "critical" if configured else "info", "PostgreSQL", reason,
                        suggestion="the optimizer's log says more" if configured else
                        "name a database to have it watched",
                        setting="" if configured else "database_optimizer.postgres_url")]
    stats = figures.part("database")
    out = [_alert(alert, stats) for alert in stats.get("alerts", [])]
    out += _database_state(stats) + _statements(stats)
    for gap in stats.get("gaps", []):
        out.append(Finding("database", "info", "not examined", gap))
    for advice in figures.part("recommendations").get("recommendations", []):
        evidence = advice.get("evidence", {})
        out.append(Finding("database", "warning", advice.get("table") or advice.get("kind", ""),
                           advice.get("reason", ""),
                           {"recommendation_id": advice.get("recommendation_id"),
                            "kind": advice.get("kind"),
                            "cost_before": num(evidence.get("cost_before")),
                            "cost_after": num(evidence.get("cost_after")),
                            "size_bytes": num(evidence.get("size_bytes")),
                            "statements": advice.get("apply_statements", [])},
                           "slipctl optimize --apply"))
    return out


# -- cache ---------------------------------------------------------------------------------------


def _cache(figures: Figures) -> list[Finding]:
    stats, out = figures.part("cache"), []
    total = stats.get("total", {})
    reads = sum(num(total.get(k)) for k in ("hits_count", "misses_count", "stale_count"))
    evictions = {e.get("cause"): num(e.get("count")) for e in stats.get("evictions", [])}
    if reads >= MIN_READS and num(total.get("hit_ratio")) < LOW_HIT_RATIO:
        types = [t for t in stats.get("types", [])
                 if num(t.get("counters", {}).get("misses_count")) > 0]
        types.sort(key=lambda t: -num(t["counters"].get("misses_count")))
        out.append(Finding("cache", "warning", "hit ratio",
                           f"{num(total.get('hit_ratio')):.1%} of {reads:.0f} reads found a value",
                           {"since": stats.get("since"),
                            "most_misses": [{"type": t.get("type"), **t["counters"]}
                                            for t in types[:3]]},
                           "longer TTLs for the types with the most misses, or keys that differ "
                           "less between callers"))
    for tier in stats.get("tiers", []):
        most = num(tier.get("max_bytes"))
        if most and num(tier.get("bytes")) >= FULL_SHARE * most and evictions.get("CAPACITY"):
            name = str(tier.get("tier", "")).lower()
            out.append(Finding("cache", "warning", f"tier {name}",
                               f"it is full and {evictions['CAPACITY']:.0f} entries had to leave",
                               {"bytes": num(tier.get("bytes")), "max_bytes": most,
                                "evictions": evictions},
                               "more room, if the hit ratio is worth it",
                               f"cache.{name}_max_bytes", str(int(most * 2))))
    if stats.get("degraded"):
        out.append(Finding("cache", "critical", "second tier", "Redis is configured and away",
                           {"degraded": True}, "check cache.redis_url and the server"))
    if num(stats.get("damaged_values_count")) > 0:
        out.append(Finding("cache", "warning", "values", "stored values were damaged",
                           {"damaged_values_count": num(stats["damaged_values_count"])},
                           "look for another program that writes to this Redis"))
    if num(stats.get("secrets_refused_count")) > 0:
        out.append(Finding("cache", "info", "secrets", "values were refused because they carried a "
                           "secret", {"secrets_refused_count": num(stats["secrets_refused_count"])},
                           "remove the secret before the value is cached"))
    redis = stats.get("redis") or {}
    if num(redis.get("evicted_keys_count")) > 0:
        out.append(Finding("cache", "warning", "Redis", "the server evicted keys by itself",
                           {k: num(redis.get(k)) for k in
                            ("evicted_keys_count", "used_memory_bytes", "max_memory_bytes")},
                           "give Redis more memory, or the cache less of it", "cache.l2_max_bytes",
                           str(int(num(redis.get("max_memory_bytes")) * 0.4))))
    return out


# -- queue and workers ---------------------------------------------------------------------------


def _queue(figures: Figures) -> list[Finding]:
    stats, out = figures.part("queue"), []
    wait_ms = num(stats.get("oldest_wait_ms"))
    if wait_ms >= OLD_WAIT_MS:
        out.append(Finding("queue", "critical" if wait_ms >= 10 * OLD_WAIT_MS else "warning",
                           "waiting tasks", f"the oldest task has waited {wait_ms / 1000:.0f} s",
                           {"oldest_wait_ms": wait_ms, "depths": stats.get("depths", [])[:10],
                            "submitted_per_second": num(stats.get("submitted_per_second")),
                            "finished_per_second": num(stats.get("finished_per_second"))},
                           "more workers or slots of them; see the workers' findings"))
    for paused in stats.get("paused_task_types", []):
        out.append(Finding("queue", "warning", paused, "tasks of this type are not started: paused",
                           {"task_type": paused}, "POST /api/v1/async-tasks/queue/resume"))
    for group in stats.get("failures", []):
        out.append(Finding("queue", "warning", group.get("task_type", ""),
                           f"{num(group.get('count')):.0f} attempts failed with "
                           f"{group.get('reason', '')}",
                           {k: group.get(k) for k in ("count", "reason", "first_at", "last_at",
                                                      "example_task_id")},
                           "look at the example task's error"))
    dead = num(stats.get("dead_letter_count"))
    if dead > 0:
        out.append(Finding("queue", "warning" if dead >= MIN_ATTEMPTS else "info", "dead letters",
                           f"{dead:.0f} failed tasks are kept", {"dead_letter_count": dead},
                           "restart them, or slipctl cleanup --only dead-letters"))
    retries = num(stats.get("retry_ratio"))
    if retries > 0.2 and num(stats.get("run", {}).get("count")) >= MIN_ATTEMPTS:
        out.append(Finding("queue", "warning", "attempts", f"{retries:.0%} of attempts are repeats",
                           {"retry_ratio": retries, "window_ms": num(stats.get("window_ms"))},
                           "find what fails at first (failures) before raising attempts"))
    if num(stats.get("outbox_count")) > 1000:
        out.append(Finding("queue", "warning", "outbox",
                           f"{num(stats['outbox_count']):.0f} changes wait for delivery",
                           {"outbox_count": num(stats["outbox_count"])},
                           "check that the notification service answers"))
    if stats.get("degraded"):
        out.append(Finding("queue", "critical", "store", "the durable store is away", {},
                           "check task_queue.redis_url and the server"))
    if stats.get("store") == "memory":
        out.append(Finding("queue", "info", "store", "tasks are kept in memory and end with the "
                           "process", {"store": "memory"}, "a Redis keeps them",
                           "task_queue.redis_url", "redis://host:6379/0"))
    return out


def _workers(figures: Figures) -> list[Finding]:
    stats, out = figures.part("queue"), []
    if not stats:
        return out
    workers = [w for w in stats.get("workers", []) if not w.get("draining")]
    pending = sum(num(s.get("count")) for s in stats.get("statuses", [])
                  if s.get("status") == "PENDING")
    if not workers:
        return [Finding("workers", "critical", "workers", "no worker is connected",
                        {"workers_count": 0, "pending_count": pending},
                        "start a worker; check endpoints.task_queue_address and its token")]
    slots = sum(num(w.get("slots")) for w in workers)
    held = sum(num(w.get("held_count")) for w in workers)
    if pending > 0 and held >= FULL_SHARE * slots:
        most = max(int(num(w.get("slots"))) for w in workers)
        out.append(Finding("workers", "warning", "slots",
                           f"{held:.0f} of {slots:.0f} slots are taken and {pending:.0f} tasks wait",
                           {"slots": slots, "held_count": held, "pending_count": pending,
                            "workers_count": len(workers)},
                           "more slots where tasks wait for others (HTTP, models); more workers "
                           "where they compute", "worker.slots_count", str(2 * most)))
    types = {d.get("task_type") for d in stats.get("depths", []) if num(d.get("pending_count")) > 0}
    served = {t for w in workers for t in w.get("task_types", [])}
    for orphan in sorted(types - served):
        out.append(Finding("workers", "critical", orphan, "tasks wait and no worker runs this type",
                           {"task_type": orphan, "served": sorted(served)[:20]},
                           "start a worker that registers the type"))
    return out


# -- resources -----------------------------------------------------------------------------------


def _resources(figures: Figures) -> list[Finding]:
    out = []
    for service in figures.part("health").get("services", []):
        if service.get("status") in ("DEGRADED", "UNAVAILABLE"):
            out.append(Finding("resources",
                               "critical" if service["status"] == "UNAVAILABLE" else "warning",
                               service.get("name", ""), service.get("message", ""),
                               {"status": service["status"], "since": service.get("since")},
                               "its log says more"))
    for alert in figures.part("overview").get("alerts", []):
        out.append(Finding("resources", alert.get("severity", "WARNING").lower(),
                           alert.get("subject", ""), alert.get("message", ""),
                           {"since": alert.get("raised_at")}))
    for route in figures.part("routes").get("routes", []):
        if route.get("performance_class") == "CRITICAL" and \
                num(route.get("requests_count")) >= MIN_ATTEMPTS:
            out.append(Finding("resources", "warning", route.get("route", ""),
                               f"95 % of requests take up to {num(route.get('p95_ms')):.0f} ms",
                               {k: route.get(k) for k in ("requests_count", "p50_ms", "p95_ms",
                                                          "p99_ms", "average_cost")},
                               "cache its answers (edge response cache), or look at what it spends "
                               "downstream"))
    for name, process in figures.processes.items():
        if process["max_files_count"] and \
                process["open_files_count"] >= 0.8 * process["max_files_count"]:
            out.append(Finding("resources", "critical", name,
                               f"{process['open_files_count']} of {process['max_files_count']} file "
                               "descriptors are open", process, "raise the limit (ulimit -n)"))
        if process["cpu_cores"] >= 0.9:
            out.append(Finding("resources", "warning", name,
                               f"it used {process['cpu_cores']:.2f} cores while looked at", process,
                               "more replicas, or more cores for it"))
    closes = {c.get("reason"): num(c.get("count"))
              for c in figures.part("notifications").get("closes", [])}
    if closes.get("SLOW_READER"):
        out.append(Finding("resources", "warning", "notification",
                           f"{closes['SLOW_READER']:.0f} subscribers were closed because they read "
                           "too slowly", closes, "a larger queue, if memory allows",
                           "edge.websocket.queue_bytes", "4194304"))
    return out


def findings_of(figures: Figures, detailed: bool = False) -> list[Finding]:
    """All findings, the worst first within each area. What is only for information is left out
    unless `detailed`; a part that could not be had is always a finding."""
    out = (_database(figures) + _cache(figures) + _queue(figures) + _workers(figures) +
           _resources(figures))
    areas = {"cache": "cache", "queue": "queue", "health": "resources", "overview": "resources",
             "routes": "resources", "notifications": "resources", "processes": "resources",
             "recommendations": "database"}
    for part, reason in figures.missing.items():
        area = "resources" if part.startswith("process ") else areas.get(part)
        # Without a database its recommendations are no news.
        if area is None or (part == "recommendations" and "database" in figures.missing):
            continue
        out.append(Finding(area, "info" if part in ("recommendations", "processes") else "warning",
                           part, f"not examined: {reason}"))
    if not detailed:
        out = [f for f in out if f.severity != "info" or f.finding.startswith("not examined")]
    return sorted(out, key=lambda f: (AREAS.index(f.area), SEVERITIES.index(f.severity)))


def _second(time: str | None) -> str | None:
    """A time of a JSON answer, to the second."""
    return f"{time[:19]}Z" if time else None


def summary_of(figures: Figures) -> dict[str, dict]:
    """The few figures of each area that say how it is."""
    database, cache = figures.part("database"), figures.part("cache")
    queue, health = figures.part("queue"), figures.part("health")
    examined = database.get("examined", {})
    statuses = {s.get("status"): num(s.get("count")) for s in queue.get("statuses", [])}
    out = {
        "database": {
            "server_version": database.get("server_version"),
            "size": _mib(num(database.get("database", {}).get("size_bytes"))),
            "buffer_hit_ratio": round(num(database.get("buffer_hit_ratio")), 4),
            "statements_examined": num(examined.get("statements_count")),
            "tables_examined": num(examined.get("tables_count")),
            "statements_since": _second(examined.get("since")),
            "watched_since": _second(examined.get("watched_since")),
        } if database else {},
        "cache": {
            "hit_ratio": round(num(cache.get("total", {}).get("hit_ratio")), 4),
            "hits": num(cache.get("total", {}).get("hits_count")),
            "misses": num(cache.get("total", {}).get("misses_count")),
            "held": _mib(max([num(t.get("bytes")) for t in cache.get("tiers", [])] or [0])),
            "since": _second(cache.get("since")),
        } if cache else {},
        "queue": {
            **{name.lower(): count for name, count in statuses.items() if name},
            "oldest_wait_ms": num(queue.get("oldest_wait_ms")),
            "dead_letters": num(queue.get("dead_letter_count")), "store": queue.get("store"),
        } if queue else {},
        "workers": {
            "workers": len(queue.get("workers", [])),
            "slots": sum(num(w.get("slots")) for w in queue.get("workers", [])),
            "held": sum(num(w.get("held_count")) for w in queue.get("workers", [])),
        } if queue else {},
        "resources": {
            "status": health.get("status"), "version": health.get("version"),
            **{f"{name}.{key}": value for name, process in figures.processes.items()
               for key, value in (("cpu_cores", process["cpu_cores"]),
                                  ("resident", _mib(process["resident_bytes"])))},
        },
    }
    return {area: {k: int(v) if isinstance(v, float) and v.is_integer() else v
                   for k, v in values.items() if v is not None}
            for area, values in out.items()}
