"""The benchmarks of isolation: whether the readers of notifications notice that others stop reading,
or that an address floods the edge."""

from bench_notify import Ours, raise_file_limit, versions
from bench_processes import CpuMeter, Parties, as_flags, driver
from bench_queue import Options
from bench_report import Report, median, rounded, spread

CLIENTS = 100
RATE = 1000          # broadcasts a second: 100,000 deliveries a second, a seventh of the peak
NUISANCE_READERS = 20
FLOOD_RATE = 1000    # connections a second
PAIRS = 7
MAX_RISE = 1.1
FLOODS = ("connections", "sign_ins", "silent")
SETTINGS = {
    "ours": "edge and notification service, each a process, HS256 bearer token on every connection, "
            "default limits, metrics on, memory store, no compression; published by PublishMany "
            "of one",
    "others": f"{CLIENTS} WebSockets, {RATE} broadcasts a second on a fixed schedule, every "
              "message's number checked at every client; latency from the publish to the receipt",
    "windows": "with and without the nuisance in turn, in one run; a ratio is of a window and the "
               "calm one before it",
}


def p99(out: dict) -> float:
    return out["latency"]["p99_ms"]


class Scene:
    """Servers, the others, and nuisances that come and go."""

    def __init__(self, parties: Parties, seconds: float):
        self.parties, self.seconds = parties, seconds
        self.ours = Ours(parties, CLIENTS, spare=10_000)
        self.nuisances: dict = {}
        self.ours.clients.fanout(int(RATE * seconds), RATE, batch=1)  # warms up

    def nuisance(self, kind: str):
        if kind not in self.nuisances:
            tokens = self.parties.folder / "nuisance.tokens"
            # One user for each, so that the limit of a user's connections plays no part.
            tokens.write_text("\n".join(self.parties.token(f"nuisance-{n}", "user")
                                        for n in range(NUISANCE_READERS)))
            flags = {"kind": kind, "port": self.ours.port, "tokens": tokens,
                     "count": NUISANCE_READERS, "rate": FLOOD_RATE}
            self.nuisances[kind] = self.parties.start(
                f"nuisance_{kind}", ["nice", "-n", "19", driver("notify_nuisance"),
                                     *as_flags(flags)], stdin=True, stdout=True)
        return self.nuisances[kind]

    def window(self, kind: str | None) -> dict:
        """What the others saw while this nuisance was there, and what came of it."""
        if kind is not None:
            self.nuisance(kind).ask("start", 60)
        meter = CpuMeter(*self.parties.parties)
        out = self.ours.clients.fanout(int(RATE * self.seconds), RATE, batch=1)
        out["cpu_us_per_delivery"] = meter.us_each(out["deliveries"])
        if kind is not None:
            out["nuisance"] = self.nuisance(kind).ask("stop", 120)
        return out


def report_of(name: str, options: Options, pairs_of: dict, raw: list) -> Report:
    report = Report(name, runs=len(raw))
    report.figures = {
        "versions": versions(),
        "settings": {**SETTINGS, "seconds_a_window": options.seconds},
        "bars": {"p99_rises_at_most_to": MAX_RISE}}
    ratios = []
    for kind, pairs in pairs_of.items():
        report.compare(f"p99 without {kind} (bar: {1 / MAX_RISE:.2f})",
                       median([p99(noisy) for _, noisy in pairs]),
                       median([p99(calm) for calm, _ in pairs]), "ms", more_is_better=False)
        rises = [p99(noisy) / p99(calm) for calm, noisy in pairs]
        ratios += rises
        report.figures[f"p99_rise_{kind}"] = {"median_of_pairs": rounded(median(rises)),
                                              "pairs": [rounded(rise) for rise in rises]}
    report.spread = spread(ratios)
    report.figures["raw_runs"] = raw
    return report


def notify_stalled(options: Options) -> Report:
    """The others' p99 while readers stop reading, against the same readers reading."""
    raise_file_limit()
    pairs = []
    with Parties(options.keep, options.server_config) as parties:
        scene = Scene(parties, options.seconds)
        for _ in range(options.runs or PAIRS):
            pairs.append((scene.window("reading"), scene.window("stalled")))
    report = report_of("notify-stalled", options, {"stalled readers": pairs},
                       [{"reading": calm, "stalled": noisy} for calm, noisy in pairs])
    ends: dict = {}
    for _, noisy in pairs:
        for how, count in noisy["nuisance"]["ends"].items():
            ends[how] = ends.get(how, 0) + count
    report.figures["stalled_readers"] = {"in_all": NUISANCE_READERS * len(pairs), **ends}
    return report


def notify_flood(options: Options) -> Report:
    """The others' p99 while one address floods the edge, against calm."""
    raise_file_limit()
    pairs_of: dict = {kind: [] for kind in FLOODS}
    raw = []
    with Parties(options.keep, options.server_config) as parties:
        scene = Scene(parties, options.seconds)
        for _ in range(options.runs or PAIRS):
            run = {}
            for kind in FLOODS:
                calm, noisy = scene.window(None), scene.window(kind)
                pairs_of[kind].append((calm, noisy))
                run |= {f"before {kind}": calm, kind: noisy}
            raw.append(run)
    return report_of("notify-flood", options, pairs_of, raw)


BENCHES = {"notify-stalled": notify_stalled, "notify-flood": notify_flood}
