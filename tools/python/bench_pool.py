"""The benchmark of the connection pool: 500 clients over 20 connections, beside PgBouncer."""

import os
import subprocess
import time
import urllib.request
from pathlib import Path

from bench_processes import (BenchError, Parties, Party, TICKS_PER_S,
                             environment_versions, wait_for_keyboard, _wait_ready)
from bench_queue import SERVER_SETTINGS, Options
from bench_report import Report, median, rounded, spread
from bench_unary import run_load
from postgres_cluster import as_user, server_user
from postgres_cluster import programs as postgres_programs
from suite import binary, pick_ports

CLIENTS = 500
CONNECTIONS = 20
# Of the gRPC client. Frames of several calls are to leave and come together, so: one channel (of 1, 2,
# 4 and 8 it costs both sides the least), and calls begun by a thread of the client's own, not by the
# callback that ends the one before (0.6 writes to the socket a call instead of one).
CLIENT = {"channels": 1, "starter": True, "trace": True, "timeout_s": 30}
KEYS = 10_000
TINY = "SELECT v FROM bench_items WHERE id = $1"
# PostgreSQL waits for whole milliseconds: this is one of 1 ms, and takes 1.1 ms in all.
ONE_MS = "SELECT v, pg_sleep(0.0005) FROM bench_items WHERE id = $1"
POSTGRES_SETTINGS = {"max_connections": "100", "shared_buffers": "128MB", "fsync": "off",
                     "jit": "off"}
PGBOUNCER_SETTINGS = {"pool_mode": "transaction", "default_pool_size": str(CONNECTIONS),
                      "max_client_conn": "1000", "auth_type": "any"}


class PostgresParty(Party):
    """The server with its backends, whose processor time counts too."""

    def cpu_s(self) -> float:
        pid, ticks = str(self.process.pid), 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if stat.parent.name == pid or fields[1] == pid:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS_PER_S


def _wait_for_sql(party: Party, url: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while subprocess.run(["psql", "-qX", url, "-c", "SELECT 1"], capture_output=True).returncode:
        if time.monotonic() > deadline or party.process.poll() is not None:
            raise BenchError(f"{party.name} did not start\n{party.log_end()}")
        time.sleep(0.05)


def _start_postgres(parties: Parties) -> tuple[Party, str]:
    (port,) = pick_ports(1)
    programs = postgres_programs()
    folder = parties.folder / "postgres"
    folder.mkdir()
    parties.folder.chmod(0o755)
    if os.geteuid() == 0:
        user = server_user()
        os.chown(folder, user.pw_uid, user.pw_gid)
    subprocess.run(as_user([programs / "initdb", "-D", folder / "data", "-U", "postgres",
                            "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8"]),
                   check=True, capture_output=True, cwd="/", timeout=120)
    command = [programs / "postgres", "-D", folder / "data", "-p", port, "-h", "127.0.0.1", "-k", ""]
    for key, value in POSTGRES_SETTINGS.items():
        command += ["-c", f"{key}={value}"]
    party = PostgresParty("postgres", as_user(command), parties.folder)
    parties.parties.append(party)
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    sql = (f"CREATE TABLE bench_items (id int PRIMARY KEY, v text);"
           f"INSERT INTO bench_items SELECT g, repeat('x', 50) FROM generate_series(1, {KEYS}) g;"
           f"ANALYZE bench_items")
    _wait_for_sql(party, url, 30)
    subprocess.run(["psql", "-qX", url, "-c", sql], check=True, capture_output=True)
    return party, url


def _start_pgbouncer(parties: Parties, postgres_url: str) -> tuple[Party, str]:
    (port,) = pick_ports(1)
    settings = {**PGBOUNCER_SETTINGS, "listen_addr": "127.0.0.1", "listen_port": port,
                "unix_socket_dir": "", "auth_file": str(parties.folder / "pgbouncer.users")}
    (parties.folder / "pgbouncer.users").write_text('"postgres" ""\n')
    config = parties.folder / "pgbouncer.ini"
    server_port = postgres_url.rsplit(":", 1)[1].split("/")[0]
    config.write_text(f"[databases]\npostgres = host=127.0.0.1 port={server_port} user=postgres\n"
                      "[pgbouncer]\n" + "".join(f"{k} = {v}\n" for k, v in settings.items()))
    party = parties.start("pgbouncer", as_user(["/usr/sbin/pgbouncer", "-q", config]))
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    _wait_for_sql(party, url, 20)
    return party, url


def _start_optimizer(parties: Parties, postgres_url: str) -> tuple[Party, str, int]:
    grpc, http, nowhere = pick_ports(3)
    config = parties.folder / "database_optimizer.textproto"
    config.write_text(
        f'auth {{ hs256_secret_file: "{parties.folder}/hs256.secret" }}\n'
        f'database_optimizer {{ grpc_address: "127.0.0.1:{grpc}" http_address: "127.0.0.1:{http}" '
        f'postgres_url: "{postgres_url}" }}\n'
        f'endpoints {{ monitoring_address: "127.0.0.1:{nowhere}" '
        f'cache_address: "127.0.0.1:{nowhere}" notification_address: "127.0.0.1:{nowhere}" }}\n'
        f'{parties.server_config}\n')
    party = parties.start("database_optimizer", [binary("database_optimizer"), "--config", config])
    _wait_ready(party, http)
    return party, f"127.0.0.1:{grpc}", http


class BusyConnections:
    """The time that the service's connections are in use, read as a process's time is."""

    name = "busy"

    def __init__(self, http_port: int):
        self.url = f"http://127.0.0.1:{http_port}/metrics"

    def cpu_s(self) -> float:
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("slipstream_database_optimizer_pool_busy_seconds_total "):
                    return float(line.split()[1])
        raise BenchError("the pool's busy time is not among the service's series")


class Sides:
    """All servers of one benchmark: they stay up, and are loaded in turn."""

    def __init__(self, parties: Parties, seconds: float):
        self.parties, self.seconds = parties, seconds
        self.postgres, self.url = _start_postgres(parties)
        self.pgbouncer, self.pgbouncer_url = _start_pgbouncer(parties, self.url)
        self.optimizer, self.address, http = _start_optimizer(parties, self.url)
        self.busy = BusyConnections(http)
        self.token = parties.token("bench", "service")

    def query(self, sql: str) -> dict:
        out = run_load(self.parties, "query_load", [self.optimizer, self.postgres, self.busy],
                       sql=sql, address=self.address, token=self.token, inflight=CLIENTS,
                       columns=sql.count(",") + 1, keys=KEYS, seconds=self.seconds, **CLIENT)
        # In use, in microseconds of all connections together, for each call.
        busy_us = out["cpu_us_per_call"].pop(self.busy.name)
        out["busy_percent"] = busy_us * out["calls_per_second"] / 1e4 / CONNECTIONS
        return out

    def bouncer(self, sql: str) -> dict:
        return run_load(self.parties, "postgres_load", [self.pgbouncer, self.postgres], sql=sql,
                        url=self.pgbouncer_url, inflight=CLIENTS, keys=KEYS, seconds=self.seconds)

    def pool(self, sql: str) -> dict:
        return run_load(self.parties, "pool_load", [self.postgres], sql=sql, url=self.url,
                        inflight=CLIENTS, keys=KEYS, connections=CONNECTIONS, seconds=self.seconds)

    def reconnect(self, sql: str) -> dict:
        return run_load(self.parties, "postgres_load", [self.postgres], sql=sql, url=self.url,
                        inflight=CONNECTIONS, reconnect=True, keys=KEYS, seconds=self.seconds)


def _short(run: dict) -> dict:
    return {"per_second": rounded(run["calls_per_second"]),
            "p50_ms": rounded(run["latency"]["p50_ms"]), "p99_ms": rounded(run["latency"]["p99_ms"]),
            "jain": rounded(run["jain"]), "cpu_us": run["cpu_us_per_call"],
            **({"busy_percent": rounded(run["busy_percent"])} if "busy_percent" in run else {})}


def db_pool(options: Options) -> Report:
    """500 clients over 20 connections through Query, against PgBouncer in transaction mode."""
    runs = options.runs or 5
    report = Report("db-pool", runs=runs)
    server = {key: value for key, value in SERVER_SETTINGS.items() if key != "events"}
    pgbouncer = subprocess.run(["/usr/sbin/pgbouncer", "--version"], capture_output=True, text=True)
    postgres = subprocess.run([postgres_programs() / "postgres", "--version"], capture_output=True, text=True)
    report.figures = {
        "versions": {**environment_versions(), "postgres": postgres.stdout.strip(),
                     "pgbouncer": pgbouncer.stdout.splitlines()[0]},
        "settings": {
            "server": server, "server_config": options.server_config or "defaults",
            "postgres": POSTGRES_SETTINGS, "pgbouncer": PGBOUNCER_SETTINGS,
            "clients": f"{CLIENTS} in a closed loop over {CONNECTIONS} connections to PostgreSQL; "
                       "result cache off",
            "ours": "gRPC client, callback API, one process, one channel without gRPC's own "
                    "retries, as the peer's client has none, and one thread that begins the calls; "
                    "bearer token, traceparent, x-request-id and deadline on every call",
            "peer": f"libpq's asynchronous calls, one process, {CLIENTS} connections; extended "
                    "protocol with the unnamed statement, since this PgBouncer has no named ones in "
                    "transaction mode",
            "one new connection per request": f"{CONNECTIONS} blocking threads, straight to "
                                              "PostgreSQL",
            "tiny": TINY, "1ms": f"{ONE_MS} (waits, so that two cores can hold 20 of them)",
            "seconds_each": options.seconds,
            "parties": "each in a process of its own, TCP on loopback, all on this machine"}}
    raw = []
    with Parties(options.keep, options.server_config) as parties:
        sides = Sides(parties, options.seconds)
        for _ in range(runs):
            raw.append({name: {"ours": _short(ours(sql)), "reference": _short(reference(sql))}
                        for name, ours, reference, sql in (
                            ("pgbouncer-1ms", sides.query, sides.bouncer, ONE_MS),
                            ("pgbouncer-tiny", sides.query, sides.bouncer, TINY),
                            ("pgbouncer-pool", sides.pool, sides.bouncer, TINY),
                            ("connection-per-request", sides.query, sides.reconnect, TINY))})
    pairs = {}
    for name in raw[0]:
        rates = [run[name]["ours"]["per_second"] for run in raw]
        peers = [run[name]["reference"]["per_second"] for run in raw]
        report.compare(name, median(rates), median(peers), "statements/s")
        pairs[name] = [rounded(a / b) for a, b in zip(rates, peers)]
    report.spread = spread([run["pgbouncer-1ms"]["ours"]["per_second"] for run in raw])
    report.figures["bar"] = {"pgbouncer-1ms": 1, "pgbouncer-tiny": "goal 0.6", "pgbouncer-pool": 1,
                             "connection-per-request": 3, "jain": 0.99, "busy_percent": 95}
    report.figures["ratio_of_each_pair"] = pairs
    for figure in ("p99_ms", "jain"):
        report.figures[figure] = {
            name: {side: rounded(median([run[name][side][figure] for run in raw]))
                   for side in ("ours", "reference")} for name in raw[0]}
    report.figures["busy_percent"] = {
        name: rounded(median([run[name]["ours"]["busy_percent"] for run in raw]))
        for name in ("pgbouncer-1ms", "pgbouncer-tiny", "pgbouncer-pool")}
    report.figures["raw_runs"] = raw
    return report


def serve(_: str, options: Options) -> None:
    """Starts both sides and waits, for a client of one's own."""
    with Parties(options.keep, options.server_config) as parties:
        sides = Sides(parties, options.seconds)
        print(f"database_optimizer: {sides.address}\n  service token: {sides.token}\n"
              f"PgBouncer: {sides.pgbouncer_url}\nPostgreSQL: {sides.url}\n"
              f"statements: {TINY}\n            {ONE_MS}")
        wait_for_keyboard(parties)


BENCHES = {"db-pool": db_pool}
