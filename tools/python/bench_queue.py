"""The benchmarks of the task queue: how fast, how soon, and how little the backlog matters."""

import time
from dataclasses import dataclass

from bench_processes import (REDIS_SETTINGS, BenchError, CpuMeter, Parties, driver,
                             environment_versions, redis_used_memory, wait_for_keyboard)
from bench_report import Report, median, rounded, spread
from bench_unary import CHANNELS, ECHO, run_echo, run_load, start_echo

SLOTS = 2000
RUN_TIMEOUT_S = 600
SERVER_SETTINGS = {
    "chain": "trace, auth, permission, limits, metrics, logging, audit, deadline (all on)",
    "auth": "HS256 bearer token on every call, checked by the server",
    "metrics": "on", "log_level": "info", "max_inflight_count": 10000,
    "events": "written to the outbox in the same step as each change; no notification service "
              "takes them (BullMQ's event stream is written and not consumed either)",
}


@dataclass
class Options:
    tasks: int | None = None
    runs: int | None = None
    store: str = "redis"
    seconds: float = 5.0
    keep: bool = False
    backlog: int = 1_000_000
    server_config: str = ""
    matrix: str = ""
    budget_gb: float | None = None
    trace: str = ""
    trace_format: str = ""
    capacity: int | None = None
    chart: str = ""
    synthetic: bool = False


def figures_of(options: Options, **more) -> dict:
    return {"versions": environment_versions(),
            "settings": {"store": options.store, "server": SERVER_SETTINGS,
                         "server_config": options.server_config or "defaults",
                         "redis": {**REDIS_SETTINGS, "link": "TCP, loopback"},
                         "parties": "each in a process of its own, all on this machine", **more}}


class Server:
    """The task queue and its store within one Parties."""

    def __init__(self, parties: Parties, store: str):
        self.parties = parties
        self.redis, self.redis_port = parties.redis() if store == "redis" else (None, None)
        self.queue, self.address = parties.task_queue(self.redis_port)
        self.all = [p for p in (self.queue, self.redis) if p is not None]

    def stored_bytes(self) -> int:
        """What the store holds: Redis's own figure, or the server's resident memory."""
        return redis_used_memory(self.redis_port) if self.redis_port else self.queue.rss_bytes()


# -- queue-submit --------------------------------------------------------------------------------


def queue_submit(options: Options) -> Report:
    """Unary submits, acknowledged once the store has them, against a bare gRPC echo."""
    runs = options.runs or 5
    inflight = 256
    report = Report("queue-submit", runs=runs)
    report.figures = figures_of(
        options, client="closed loop, callback API, one client process", inflight=inflight,
        channels=CHANNELS, seconds_each=options.seconds,
        metadata="a bearer token and a deadline of 60 s on ours, nothing on the echo's", echo=ECHO)
    raw = []
    for _ in range(runs):
        load = {"channels": CHANNELS, "inflight": inflight, "seconds": options.seconds}
        with Parties(options.keep, options.server_config) as parties:
            server = Server(parties, options.store)
            # The type must be known, as it is where a worker has connected once.
            parties.worker(server.address, slots=1).finish()
            ours = run_load(parties, "submit_load", server.all, address=server.address,
                            token=parties.token("bench", "user"), timeout_s=60, **load)
        reference = run_echo(ours, options.keep, **load)
        raw.append({"ours": ours, "echo": reference})
    rates = [run["ours"]["calls_per_second"] for run in raw]
    echoes = [run["echo"]["calls_per_second"] for run in raw]
    report.compare("grpc-echo", median(rates), median(echoes), "calls/s")
    report.spread = spread(rates)
    report.figures["echo_spread"] = rounded(spread(echoes))
    report.figures["bar"] = {"grpc-echo": 0.6}
    report.figures["raw_runs"] = raw
    return report


# -- queue-lifecycle -----------------------------------------------------------------------------


def run_lifecycles(options: Options, tasks: int, **flags) -> dict:
    """Our lifecycle once, on fresh processes."""
    with Parties(options.keep, options.server_config) as parties:
        server = Server(parties, options.store)
        worker = parties.worker(server.address, slots=SLOTS)
        # The first thousands warm up allocators, connections and Redis's scripts.
        warm = parties.producer(server.address, name="warm_up", tasks=min(tasks, 5000),
                                channels=CHANNELS)
        _result(warm)
        meter = CpuMeter(*server.all, worker)
        producer = parties.producer(server.address, tasks=tasks, channels=CHANNELS, **flags)
        out = _result(producer)
        out["cpu_us_per_lifecycle"] = meter.us_each(out["done"])
        out["cpu_us_per_lifecycle"]["producer"] = round(out["cpu_s"] * 1e6 / out["done"], 2)
        mark = worker.finish()
        out["worker"] = {k: mark[k] for k in ("succeeded", "failed", "stale", "refused")}
    return out


def _result(producer) -> dict:
    out = producer.read(RUN_TIMEOUT_S)
    producer.process.wait(20)
    if out["errors"] or out["wrong"] or out["done"] != out["tasks"]:
        raise BenchError(f"{producer.name}: not every result was right: {out}\n"
                         f"{producer.log_end()}")
    return out


def run_bullmq(options: Options, tasks: int, **flags) -> dict:
    with Parties(options.keep, options.server_config) as parties:
        redis, port = parties.redis()
        worker = parties.node("bullmq_worker", "worker.mjs", redis_port=port, concurrency=100)
        worker.read(30)
        warm = parties.node("bullmq_warm_up", "producer.mjs", redis_port=port,
                            tasks=min(tasks, 5000), first=10_000_000, **flags)
        _result(warm)
        meter = CpuMeter(redis, worker)
        producer = parties.node("bullmq_producer", "producer.mjs", redis_port=port, tasks=tasks,
                                **flags)
        out = _result(producer)
        out["cpu_us_per_lifecycle"] = meter.us_each(out["done"])
        out["cpu_us_per_lifecycle"]["producer"] = round(out["cpu_s"] * 1e6 / out["done"], 2)
        worker.finish()
    return out


def run_scripts(options: Options, tasks: int) -> dict | None:
    """The bare cost of our Lua scripts on that Redis; None while the driver is not there.

    queue_scripts --redis_port=N --tasks=N prints {"lifecycles_per_second": R, ...}.
    """
    if options.store != "redis" or not driver("queue_scripts").exists():
        return None
    with Parties(options.keep, options.server_config) as parties:
        redis, port = parties.redis()
        meter = CpuMeter(redis)
        scripts = parties.start("queue_scripts", [driver("queue_scripts"), f"--redis_port={port}",
                                                  f"--tasks={tasks}"], stdout=True)
        out = scripts.read(RUN_TIMEOUT_S)
        out["cpu_us_per_lifecycle"] = meter.us_each(tasks)
    return out


# How BullMQ may do the same job: with and without priorities, results by its events or from the
# jobs, few jobs ahead of the results or many.
BULLMQ_SETTINGS = [
    {"priorities": priorities, "read": read, "window": window, "batch": 100}
    for priorities in (0, 4) for read in ("events", "poll") for window in (10_000, 100_000)
]


def queue_lifecycle(options: Options) -> Report:
    """Submitted, leased, acknowledged, and its result read back."""
    runs = options.runs or 5
    tasks = options.tasks or 200_000
    peer_tasks = max(1000, tasks // 5)  # BullMQ's rate does not grow with more
    report = Report("queue-lifecycle", runs=runs)
    report.figures = figures_of(
        options, tasks=tasks, bullmq_tasks=peer_tasks, priorities=4, args_bytes=100,
        producer="BulkSubmit of 100, 8 in flight; BulkGet of 100 until final, each result checked; "
                 "at most 20,000 tasks not yet read back; 2 connections",
        worker=f"libs/client/worker, one stream, {SLOTS} slots, inline handler",
        bullmq="addBulk of 100, 8 in flight; concurrency 100; jobs kept; the best of the settings "
               "tried below is the reference")
    tried = []
    for settings in BULLMQ_SETTINGS:
        out = run_bullmq(options, max(1000, peer_tasks // 2), **settings)
        tried.append({**settings, "lifecycles_per_second": rounded(out["lifecycles_per_second"])})
    best = max(tried, key=lambda one: one["lifecycles_per_second"])
    settings = {key: best[key] for key in BULLMQ_SETTINGS[0]}
    with_priorities = max((one for one in tried if one["priorities"]),
                          key=lambda one: one["lifecycles_per_second"])
    raw = []
    for _ in range(runs):
        run = {"ours": run_lifecycles(options, tasks), "bullmq": run_bullmq(options, peer_tasks,
                                                                           **settings)}
        scripts = run_scripts(options, tasks)
        if scripts is not None:
            run["scripts"] = scripts
        raw.append(run)

    def rates(side: str) -> list[float]:
        return [run[side]["lifecycles_per_second"] for run in raw if side in run]

    ours = median(rates("ours"))
    versions = raw[0]["bullmq"]["versions"]
    report.figures["versions"].update(versions)
    label = "with 4 priorities" if settings["priorities"] else "without priorities"
    report.compare(f"bullmq {versions['bullmq']} ({label})", ours, median(rates("bullmq")),
                   "lifecycles/s")
    report.figures["bars"] = {"bullmq": 5.0, "scripts": 0.8}
    if rates("scripts"):
        report.compare("scripts (our Lua on that Redis, nothing else)", ours,
                       median(rates("scripts")), "lifecycles/s")
    else:
        report.figures["scripts"] = "not measured: needs --store redis and its driver"
    report.spread = spread(rates("ours"))
    report.figures["bullmq_spread"] = rounded(spread(rates("bullmq")))
    report.figures["bullmq_settings_tried"] = tried
    report.figures["bullmq_reference"] = settings
    report.figures["bullmq_best_with_4_priorities"] = with_priorities
    report.figures["raw_runs"] = raw
    return report


# -- queue-latency -------------------------------------------------------------------------------


def queue_latency(options: Options) -> Report:
    """From when a task was due to be submitted to its handler's start, at 70 % of the peak."""
    runs = options.runs or 3
    tasks = options.tasks or 100_000
    batch = 10
    report = Report("queue-latency", runs=runs)
    report.figures = figures_of(
        options, load="open loop, fixed schedule, bulks of 10 tasks (a small fan-out), results "
                      "read back; latency counts from the time the bulk was due",
        peak="lifecycles of the same bulks in the same run, closed loop", share_of_peak=0.7)
    raw = []
    for _ in range(runs):
        with Parties(options.keep, options.server_config) as parties:
            server = Server(parties, options.store)
            worker = parties.worker(server.address, slots=SLOTS)
            _result(parties.producer(server.address, name="warm_up", tasks=min(tasks, 5000)))
            peak = _result(parties.producer(server.address, name="peak", tasks=tasks, batch=batch,
                                            submits=32, channels=CHANNELS))
            rate = 0.7 * peak["lifecycles_per_second"]
            worker.ask("reset")
            meter = CpuMeter(*server.all, worker)
            out = _result(parties.producer(
                server.address, mode="open_loop", rate=rate, batch=batch, channels=CHANNELS,
                tasks=int(rate * max(1.0, options.seconds * 2))))
            used = meter.us_each(out["done"])
            mark = worker.finish()
        raw.append({"peak_per_second": peak["lifecycles_per_second"], "rate": rate,
                    "pickup": mark["pickup"], "late_max_ms": out["late_max_ms"],
                    "cpu_us_per_lifecycle": used})
    p99 = [run["pickup"]["p99_ms"] for run in raw]
    report.compare("goal: p99 pickup under 5 ms at 70 % of the peak", median(p99), 5.0, "ms",
                   more_is_better=False)
    report.spread = spread(p99)
    for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms"):
        report.figures[f"pickup_{name}"] = rounded(median([run["pickup"][name] for run in raw]))
    report.figures["rate_per_second"] = rounded(median([run["rate"] for run in raw]))
    report.figures["raw_runs"] = raw
    return report


# -- queue-backlog and queue-fairness ------------------------------------------------------------


class Backlog:
    """A producer that keeps so many tasks of one tenant waiting, and a worker that has no end of
    work."""

    def __init__(self, server: Server, waiting: int, tenant: str = "", **worker_flags):
        parties = server.parties
        counter = parties.folder / "finished"
        counter.write_bytes(bytes(8))
        # The worker makes the type known, then waits for the backlog.
        parties.worker(server.address, slots=1).finish()
        before = server.stored_bytes()
        self.filler = parties.producer(
            server.address, name="filler", user="filler", tenant=tenant, mode="hold",
            waiting=waiting, counter=counter, channels=CHANNELS, submits=8)
        self.filled = self.filler.read(RUN_TIMEOUT_S)
        if self.filled.get("errors"):
            raise BenchError(f"the backlog could not be made: {self.filled}")
        self.bytes_each = (server.stored_bytes() - before) / waiting
        self.worker = parties.worker(server.address, counter=counter, **worker_flags)

    def finish(self) -> None:
        self.worker.finish()
        self.filler.finish()


def queue_backlog(options: Options) -> Report:
    """Throughput with a million tasks waiting against a thousand, workers saturated."""
    runs = options.runs or 3
    large = options.tasks or options.backlog
    small = 1000
    report = Report("queue-backlog", runs=runs)
    report.figures = figures_of(
        options, waiting=[small, large],
        load="a producer that replaces what is finished, so that the backlog keeps its size; one "
             f"worker, {SLOTS // 4} slots, handler without work, never idle")
    raw = []
    for _ in range(runs):
        run = {}
        for waiting in (small, large):
            with Parties(options.keep, options.server_config) as parties:
                server = Server(parties, options.store)
                backlog = Backlog(server, waiting, slots=SLOTS // 4)
                time.sleep(min(2.0, options.seconds / 2))
                meter = CpuMeter(*server.all, backlog.worker, backlog.filler)
                begin = backlog.worker.ask("mark")
                time.sleep(options.seconds)
                end = backlog.worker.ask("mark")
                seconds = (end["at_ns"] - begin["at_ns"]) / 1e9
                finished = end["succeeded"] - begin["succeeded"]
                run[str(waiting)] = {
                    "finished_per_second": finished / seconds,
                    "cpu_us_per_task": meter.us_each(finished),
                    "filled_per_second": backlog.filled["lifecycles_per_second"],
                    "stored_bytes_per_waiting_task": backlog.bytes_each}
                backlog.finish()
        raw.append(run)
    ours = [run[str(large)]["finished_per_second"] for run in raw]
    base = [run[str(small)]["finished_per_second"] for run in raw]
    report.compare(f"the same with {small:,} waiting", median(ours), median(base), "tasks/s")
    report.spread = spread(ours)
    report.figures["bar"] = "ratio at least 0.9"
    report.figures["bytes_per_waiting_task"] = rounded(median(
        [run[str(large)]["stored_bytes_per_waiting_task"] for run in raw]))
    report.figures["raw_runs"] = raw
    return report


def queue_fairness(options: Options) -> Report:
    """Another tenant's p99 pickup while one tenant has a million tasks waiting, against a
    thousand."""
    runs = options.runs or 3
    large = options.tasks or options.backlog
    small = 1000
    rate, slots, work_ms = 100, 100, 20
    report = Report("queue-fairness", runs=runs)
    report.figures = figures_of(
        options, waiting=[small, large],
        load=f"one tenant keeps its backlog; another submits {rate} single tasks a second, open "
             f"loop; one worker, {slots} slots, {work_ms} ms of work each, never idle")
    raw = []
    for _ in range(runs):
        run = {}
        for waiting in (small, large):
            with Parties(options.keep, options.server_config) as parties:
                server = Server(parties, options.store)
                backlog = Backlog(server, waiting, tenant="crowd", slots=slots, work_ms=work_ms)
                time.sleep(1)
                backlog.worker.ask("reset")
                _result(parties.producer(
                    server.address, name="other", user="other", tenant="other", mode="open_loop",
                    rate=rate, batch=1, tasks=int(rate * max(2.0, options.seconds * 2)),
                    channels=1))
                run[str(waiting)] = backlog.worker.ask("mark")["pickup"]
                backlog.finish()
        raw.append(run)
    ours = [run[str(large)]["p99_ms"] for run in raw]
    base = [run[str(small)]["p99_ms"] for run in raw]
    report.compare(f"the same with {small:,} waiting", median(ours), median(base), "ms p99 pickup",
                   more_is_better=False)
    report.spread = spread(ours)
    report.figures["bar"] = "ratio at least 0.5: p99 does not double"
    report.figures["raw_runs"] = raw
    return report


# -- serving -------------------------------------------------------------------------------------


def serve(name: str, options: Options) -> None:
    """Starts both sides and waits, for a client of one's own."""
    with Parties(options.keep, options.server_config) as parties:
        server = Server(parties, options.store)
        print(f"task queue: {server.address} (store: {options.store})")
        print(f"  user token:   {parties.token('bench', 'user')}")
        print(f"  worker token: {parties.token('bench-worker', 'service')}")
        if name == "queue-submit":
            _, echo = start_echo(parties)
            print(f"echo: {echo} (slipstream.bench.EchoService/Echo)")
        else:
            parties.worker(server.address, slots=SLOTS)
            print("  a worker runs tasks of the type `bench`")
        if name == "queue-lifecycle":
            _, port = parties.redis("bullmq_redis")
            parties.node("bullmq_worker", "worker.mjs", redis_port=port).read(30)
            print(f"bullmq: queue `bench` on redis://127.0.0.1:{port}, its worker runs")
        wait_for_keyboard(parties)


BENCHES = {"queue-submit": queue_submit, "queue-lifecycle": queue_lifecycle,
           "queue-latency": queue_latency, "queue-backlog": queue_backlog,
           "queue-fairness": queue_fairness}
