"""The benchmarks of the cache over gRPC: reads that its first tier answers."""

from bench_processes import REDIS_SETTINGS, Parties, environment_versions, wait_for_keyboard
from bench_queue import SERVER_SETTINGS, Options
from bench_report import Report, median, rounded, spread
from bench_unary import CHANNELS, ECHO, run_echo, run_load, start_echo

KEYS = 10_000
VALUE_BYTES = 100
KEYS_PER_CALL = 64
# What every call carries beside its message: on both sides.
METADATA = {"trace": True, "timeout_s": 10}
METADATA_TEXT = ("bearer token, traceparent and x-request-id (other ones for each call), deadline of "
                 "10 s")


def figures_of(options: Options, **more) -> dict:
    server = {key: value for key, value in SERVER_SETTINGS.items() if key != "events"}
    return {"versions": environment_versions(),
            "settings": {"server": server, "server_config": options.server_config or "defaults",
                         "values": f"{KEYS:,} of {VALUE_BYTES} bytes in scope USER, keys of 16 "
                                   "bytes; all reads are hits of the first tier, checked",
                         "client": "closed loop, callback API, one client process",
                         "channels": CHANNELS, "metadata": METADATA_TEXT,
                         "parties": "each in a process of its own, all on this machine", **more}}


def _run_cache(options: Options, **flags) -> dict:
    with Parties(options.keep, options.server_config) as parties:
        server, address = parties.cache()
        return run_load(parties, "cache_load", [server], address=address, keys=KEYS,
                        value_bytes=VALUE_BYTES, token=parties.token("bench", "user"),
                        channels=CHANNELS, seconds=options.seconds, **METADATA, **flags)


def cache_get(options: Options) -> Report:
    """Unary Gets that the cache's first tier answers, against a bare gRPC echo."""
    runs = options.runs or 5
    inflight = 256
    report = Report("cache-get", runs=runs)
    report.figures = figures_of(options, inflight=inflight, seconds_each=options.seconds,
                                echo=f"{ECHO}; the same metadata on every call")
    raw = []
    for _ in range(runs):
        ours = _run_cache(options, inflight=inflight)
        with Parties() as parties:
            token = parties.token("bench", "user")
        raw.append({"ours": ours,
                    "echo": run_echo(ours, options.keep, token=token, channels=CHANNELS,
                                     inflight=inflight, seconds=options.seconds, **METADATA)})
    rates = [run["ours"]["calls_per_second"] for run in raw]
    echoes = [run["echo"]["calls_per_second"] for run in raw]
    report.compare("grpc-echo", median(rates), median(echoes), "calls/s")
    report.spread = spread(rates)
    report.figures["echo_spread"] = rounded(spread(echoes))
    report.figures["bar"] = {"grpc-echo": 0.8, "goal": 0.9}
    report.figures["ratio_of_each_pair"] = [rounded(a / b) for a, b in zip(rates, echoes)]
    report.figures["p99_ms"] = {side: rounded(median([run[side]["latency"]["p99_ms"]
                                                      for run in raw])) for side in raw[0]}
    report.figures["raw_runs"] = raw
    return report


# How a client may read from Redis in pipelines: connections, and threads that share them.
REDIS_CLIENTS = [{"connections": 1, "threads": 1}, {"connections": 2, "threads": 1},
                 {"connections": 4, "threads": 1}, {"connections": 2, "threads": 2},
                 {"connections": 8, "threads": 2}]


def _run_redis(options: Options, **flags) -> dict:
    with Parties(options.keep) as parties:
        redis, port = parties.redis()
        return run_load(parties, "redis_load", [redis], port=port, keys=KEYS,
                        value_bytes=VALUE_BYTES, pipeline=KEYS_PER_CALL, seconds=options.seconds,
                        **flags)


def cache_get_many(options: Options) -> Report:
    """64 keys a call, against Redis GET in pipelines of 64, and a bare gRPC echo."""
    runs = options.runs or 5
    inflight = 64
    report = Report("cache-get-many", runs=runs)
    report.figures = figures_of(
        options, inflight=inflight, keys_per_call=KEYS_PER_CALL, seconds_each=options.seconds,
        redis={**REDIS_SETTINGS, "link": "TCP, loopback", "client": "hiredis, one process, the "
               "best of the settings tried below, a pipeline in flight on each connection"})
    tried = [{**client, "keys_per_second": rounded(_run_redis(options, **client)["keys_per_second"])}
             for client in REDIS_CLIENTS]
    best = max(tried, key=lambda one: one["keys_per_second"])
    client = {key: best[key] for key in REDIS_CLIENTS[0]}
    with Parties() as parties:
        token = parties.token("bench", "user")
    raw = []
    for _ in range(runs):
        ours = _run_cache(options, inflight=inflight, keys_per_call=KEYS_PER_CALL)
        raw.append({"ours": ours, "redis": _run_redis(options, **client),
                    "echo": run_echo(ours, options.keep, token=token, channels=CHANNELS,
                                     inflight=inflight, seconds=options.seconds, **METADATA)})
    rates = [run["ours"]["keys_per_second"] for run in raw]
    peers = [run["redis"]["keys_per_second"] for run in raw]
    echoes = [run["echo"]["calls_per_second"] * KEYS_PER_CALL for run in raw]
    report.compare(f"redis GET in pipelines of {KEYS_PER_CALL}", median(rates), median(peers),
                   "keys/s")
    # What a call with messages of these sizes costs before anything is done for it.
    report.compare("grpc-echo of messages of the same sizes", median(rates), median(echoes),
                   "keys/s")
    report.spread = spread(rates)
    report.figures["redis_spread"] = rounded(spread(peers))
    report.figures["bar"] = {"redis": 1.0}
    report.figures["redis_clients_tried"] = tried
    report.figures["ratio_of_each_pair"] = [rounded(a / b) for a, b in zip(rates, peers)]
    report.figures["p99_ms"] = rounded(median([run["ours"]["latency"]["p99_ms"] for run in raw]))
    report.figures["raw_runs"] = raw
    return report


def serve(name: str, options: Options) -> None:
    """Starts both sides and waits, for a client of one's own."""
    with Parties(options.keep, options.server_config) as parties:
        _, address = parties.cache()
        print(f"cache: {address}\n  user token: {parties.token('bench', 'user')}")
        if name == "cache-get":
            _, echo = start_echo(parties)
            print(f"echo: {echo} (slipstream.bench.EchoService/Echo)")
        else:
            _, port = parties.redis()
            print(f"redis: 127.0.0.1:{port}")
        wait_for_keyboard(parties)


BENCHES = {"cache-get": cache_get, "cache-get-many": cache_get_many}
