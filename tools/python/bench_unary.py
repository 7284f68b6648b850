"""What the benchmarks of unary calls share: the load drivers, and the echo they are compared with."""

import time

from bench_processes import BenchError, CpuMeter, Parties, as_flags, driver

CHANNELS = 2
ECHO = ("callback server, no interceptors, no auth; messages of the same size, the same connections "
        "and calls in flight, the same client program")


def run_load(parties: Parties, program: str, servers: list, **flags) -> dict:
    """What a load driver says, and the processor time of each call by process."""
    client = parties.start(program, [driver(program), *as_flags(flags)], stdout=True)
    started = time.monotonic()
    # Past the warm-up and before the end: what the servers use in the middle of the load.
    time.sleep(1.2)
    meter = CpuMeter(*servers)
    at = time.monotonic()
    time.sleep(max(0.1, flags["seconds"] - 0.4))
    took = time.monotonic() - at
    used = meter.us_each(1)
    out = client.read(started + flags["seconds"] + 60 - time.monotonic())
    if out["errors"]:
        raise BenchError(f"{out['errors']} calls failed\n{client.log_end()}")
    rate = out["calls_per_second"]
    out["cpu_us_per_call"] = {name: round(us / (rate * took), 2) for name, us in used.items()}
    out["cpu_us_per_call"]["client"] = round(out["cpu_s"] * 1e6 / max(out["calls"], 1), 2)
    return out


def start_echo(parties: Parties) -> tuple:
    """The echo's process and its address."""
    echo = parties.start("echo_server", [driver("echo_server"), "127.0.0.1:0"], stdin=True,
                         stdout=True)
    return echo, f"127.0.0.1:{echo.read(20)['port']}"


def run_echo(ours: dict, keep: bool, **flags) -> dict:
    """Load on an echo with the message sizes of `ours`, in processes of its own."""
    with Parties(keep) as parties:
        echo, address = start_echo(parties)
        return run_load(parties, "echo_load", [echo], address=address,
                        request_bytes=ours["request_bytes"],
                        response_bytes=ours["response_bytes"], **flags)
