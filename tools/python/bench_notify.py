"""The benchmarks of notifications: how many reach how many browsers how fast, and what an idle one
costs in memory."""

import json
import resource
import time

from bench_processes import (BenchError, CpuMeter, Parties, as_flags, driver,
                             environment_versions, wait_for_keyboard)
from bench_queue import Options
from bench_report import Report, median, rounded, spread
from suite import ROOT

CLIENTS = 500
IDLE_CLIENTS = 10_000
SETTLE_S = 15
MESSAGES = 6_000
BATCH = 32  # published in one call, at most
TIMEOUT_S = 240
SETTINGS = {
    "ours": "edge and notification service, each a process, HS256 bearer token on every connection, "
            "all limits as by default but that of messages a minute, which is off (the clients "
            "come from several loopback addresses), metrics on, memory store, no compression; "
            "published by PublishMany, up to 32 in a call; at half the peak those that are due "
            "within 2 ms in one call, and timed from when each was due; one_a_call: each in a call "
            "of its own, one after the other",
    "socket.io": "one Node process, websocket transport alone, perMessageDeflate off, the same "
                 "tokens checked in a middleware; published by io.emit",
    "client": "tests/bench/notify_load.cc for both: one thread, epoll, every message's number "
              "checked at every client",
    "payload_bytes": 100,
}


def versions() -> dict:
    def of(name: str) -> str:
        return json.loads((ROOT / "node_modules" / name / "package.json").read_text())["version"]

    return {**environment_versions(), "socket.io": of("socket.io"), "ws (socket.io's)": of("ws"),
            "engine.io": of("engine.io")}


def raise_file_limit() -> None:
    """For the processes that are started from here on."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Clients:
    """notify_load, connected and signed in."""

    def __init__(self, parties: Parties, protocol: str, port: int, clients: int, address: str = "",
                 users: int = 0):
        # At most ten connections a user, as by default.
        users = users or -(-clients // 10)
        tokens = parties.folder / f"{protocol}.tokens"
        tokens.write_text("\n".join(parties.token(f"user-{n}", "user") for n in range(users)))
        flags = {"protocol": protocol, "port": port, "tokens": tokens, "clients": clients,
                 "address": address or "127.0.0.1:1", "token": parties.token("bench", "service")}
        self.party = parties.start(f"{protocol}_clients", [driver("notify_load"), *as_flags(flags)],
                                   stdin=True, stdout=True)
        self.ready = self.party.read(TIMEOUT_S)

    def fanout(self, messages: int, rate: float = 0, batch: int = BATCH) -> dict:
        out = self.party.ask(f"fanout {messages} {rate} {batch}", TIMEOUT_S)
        if out["missing"] or out["wrong"]:
            raise BenchError(f"{self.party.name}: not every message came once and in order: {out}")
        return out


class Ours:
    def __init__(self, parties: Parties, clients: int, users: int = 0, spare: int = 100):
        self.notification, self.address = parties.notification(
            f"max_subscribers_count: {clients + spare}", "user_messages_per_minute_count: 0")
        self.edge, self.port = parties.edge(
            self.address, f"max_connections_count: {clients + spare}",
            f"websocket {{ max_connections_count: {clients + spare} }}")
        self.before = self.rss()
        self.clients = Clients(parties, "slipstream", self.port, clients, self.address, users)

    def rss(self) -> dict:
        return {"edge": self.edge.rss_bytes(), "notification": self.notification.rss_bytes()}


def messages_of(options: Options) -> int:
    return options.tasks or MESSAGES


def run_ours(options: Options) -> dict:
    messages = messages_of(options)
    with Parties(options.keep, options.server_config) as parties:
        ours = Ours(parties, CLIENTS)
        ours.clients.fanout(max(100, messages // 10))  # warms up
        meter = CpuMeter(ours.edge, ours.notification, ours.clients.party)
        out = ours.clients.fanout(messages)
        out["cpu_us_per_delivery"] = meter.us_each(out["deliveries"])
        # The latency is the rest's business: at half of what it can do with that publisher.
        out["half"] = half(ours, options, out, BATCH)
        out["one_a_call"] = ours.clients.fanout(max(100, messages // 3), batch=1)
        out["one_a_call"]["half"] = half(ours, options, out["one_a_call"], 1)
    return out


def half(ours: Ours, options: Options, peak: dict, batch: int) -> dict:
    rate = peak["deliveries_per_second"] / CLIENTS / 2
    return ours.clients.fanout(max(100, int(rate * options.seconds)), rate, batch)


def run_socketio(options: Options) -> dict:
    messages = max(100, messages_of(options) // 3)
    with Parties(options.keep, options.server_config) as parties:
        server, port = parties.socketio()
        clients = Clients(parties, "socketio", port, CLIENTS)
        clients.fanout(max(100, messages // 10))
        meter = CpuMeter(server, clients.party)
        out = clients.fanout(messages)
        out["cpu_us_per_delivery"] = meter.us_each(out["deliveries"])
    return out


def notify_fanout(options: Options) -> Report:
    """A broadcast to 500 signed-in WebSockets, verified at each, against socket.io."""
    runs = options.runs or 5
    report = Report("notify-fanout", runs=runs)
    report.figures = {"versions": versions(),
                      "settings": {**SETTINGS, "clients": CLIENTS, "messages": messages_of(options)}}
    raw = [{"ours": run_ours(options), "socket.io": run_socketio(options)} for _ in range(runs)]
    ours = [run["ours"]["deliveries_per_second"] for run in raw]
    peers = [run["socket.io"]["deliveries_per_second"] for run in raw]
    report.compare(f"socket.io {report.figures['versions']['socket.io']}", median(ours),
                   median(peers), "deliveries/s")
    report.spread = spread(ours)
    report.figures["bars"] = {"socket.io": 3, "latency_p99_ms_at_half_the_peak": 50}
    report.figures["latency_p99_ms_at_half_the_peak"] = rounded(
        median([run["ours"]["half"]["latency"]["p99_ms"] for run in raw]))
    report.figures["one_a_call"] = {
        "deliveries_per_second": rounded(
            median([run["ours"]["one_a_call"]["deliveries_per_second"] for run in raw])),
        "latency_p99_ms_at_half_of_that": rounded(
            median([run["ours"]["one_a_call"]["half"]["latency"]["p99_ms"] for run in raw]))}
    # Below 1 the client's one thread had time to spare while it was measured.
    report.figures["client_busy"] = {
        side: rounded(median([run[side]["client_busy"] for run in raw])) for side in raw[0]}
    report.figures["socket.io_spread"] = rounded(spread(peers))
    report.figures["raw_runs"] = raw
    return report


def notify_idle(options: Options) -> Report:
    """Resident bytes of edge and notification service for each idle, subscribed WebSocket."""
    runs = options.runs or 1
    clients = options.tasks or IDLE_CLIENTS
    raise_file_limit()
    report = Report("notify-idle", runs=runs)
    report.figures = {"versions": versions(), "settings": {
        **SETTINGS, "clients": clients, "users": "one for each connection",
        "resident": f"VmRSS {SETTLE_S} s after all clients are subscribed, less VmRSS before the "
                    "first"}}
    raw = []
    for _ in range(runs):
        with Parties(options.keep, options.server_config) as parties:
            ours = Ours(parties, clients, users=clients)
            # What signing in took is given back within the allocator's ten seconds.
            time.sleep(SETTLE_S)
            after = ours.rss()
            each = {name: rounded((after[name] - ours.before[name]) / clients) for name in after}
            raw.append({"bytes_per_connection": sum(each.values()), "each": each,
                        "before": ours.before, "after": after, **ours.clients.ready,
                        "delivered_to_all": ours.clients.fanout(10)["deliveries"]})
    sums = [run["bytes_per_connection"] for run in raw]
    report.compare("bar: 20 KB", median(sums), 20_000, "bytes/connection", more_is_better=False)
    report.compare("goal: 10 KB", median(sums), 10_000, "bytes/connection", more_is_better=False)
    report.spread = spread(sums)
    report.figures["raw_runs"] = raw
    return report


BENCHES = {"notify-fanout": notify_fanout, "notify-idle": notify_idle}


def serve(name: str, options: Options) -> None:
    """Both sides, for a client of one's own."""
    raise_file_limit()
    with Parties(options.keep, options.server_config) as parties:
        notification, address = parties.notification()
        _, port = parties.edge(address)
        _, peer_port = parties.socketio()
        print(f"edge: ws://127.0.0.1:{port}/ws\nnotification service (gRPC): {address}\n"
              f"socket.io: http://127.0.0.1:{peer_port}\n"
              f"token of a user: {parties.token('alice', 'user')}\n"
              f"token that may publish: {parties.token('bench', 'service')}")
        wait_for_keyboard(parties)
