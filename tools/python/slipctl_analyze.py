"""The commands of slipctl that look after a suite: analyze, optimize, report, cleanup."""

import json
import sys
from pathlib import Path

import suite_cleanup
import suite_report
from client import ApiError, Client
from suite_figures import DATABASE, gather, num, why
from suite_findings import findings_of


def _examined(client: Client, addresses: dict[str, str], options):
    figures = gather(client, addresses)
    return figures, findings_of(figures, options.detailed)


def _export(path: str, text: str) -> None:
    try:
        Path(path).write_text(text)
    except OSError as error:
        sys.exit(f"slipctl: {path} cannot be written: {error.strerror}")
    print(f"written to {path}", file=sys.stderr)


def _format_of(path: str, otherwise: str) -> str:
    """From the file's ending."""
    ending = Path(path).suffix.lstrip(".")
    ending = {"htm": "html", "markdown": "md"}.get(ending, ending)
    return ending if ending in suite_report.FORMATS else otherwise


def analyze(client: Client, addresses: dict[str, str], options) -> None:
    """Prints the findings; with --auto-optimize applies what the database optimizer recommends."""
    figures, findings = _examined(client, addresses, options)
    print(suite_report.as_lines(figures, findings, options.detailed), end="")
    if options.export:
        render = suite_report.RENDER[_format_of(options.export, "json")]
        _export(options.export, render(figures, findings, options.detailed))
    if options.auto_optimize:
        print()
        _optimize_database(client, apply=True, budget_gb=None, tables=[])


def report(client: Client, addresses: dict[str, str], options) -> None:
    figures, findings = _examined(client, addresses, options)
    chosen = options.format or (_format_of(options.export, "md") if options.export else "md")
    text = suite_report.RENDER[chosen](figures, findings, options.detailed)
    if options.export:
        _export(options.export, text)
    else:
        print(text, end="")


def _show(recommendation: dict) -> None:
    evidence = recommendation.get("evidence", {})
    print(f"  {recommendation.get('kind')} {recommendation.get('table', '')} "
          f"[{recommendation.get('status', '')}] {recommendation.get('recommendation_id', '')}")
    print(f"    {recommendation.get('reason', '')}")
    if evidence:
        print(f"    cost {num(evidence.get('cost_before')):.0f} -> "
              f"{num(evidence.get('cost_after')):.0f}, size {num(evidence.get('size_bytes')):.0f} "
              f"bytes, writes {num(evidence.get('write_cost')):.0f}, "
              f"{len(evidence.get('queries', []))} statements")
    for statement in recommendation.get("apply_statements", []):
        print(f"    {statement}")
    if recommendation.get("error"):
        print(f"    {recommendation['error']}")


def _optimize_database(client: Client, apply: bool, budget_gb: float | None,
                       tables: list[str]) -> None:
    body = {"apply": apply, "tables": tables}
    if budget_gb is not None:
        body["storage_budget_bytes"] = int(budget_gb * (1 << 30))
    try:
        answer = Client(f"http://{client.host}:{client.port}", client.token, timeout_s=130).post(
            f"{DATABASE}/optimize", body)
    except ApiError as error:
        sys.exit(f"slipctl: the database cannot be optimized: {why(error)}")
    found = answer.get("recommendations", [])
    print(f"database: {len(found)} recommendations, cost of the workload "
          f"{num(answer.get('cost_before')):.0f} -> {num(answer.get('cost_after')):.0f}, "
          f"{num(answer.get('examined', {}).get('statements_count')):.0f} statements examined")
    for recommendation in found:
        _show(recommendation)
    print("  nothing was changed: --apply does it" if answer.get("dry_run") else
          "  begun: each is measured and taken back when it does harm; "
          f"GET {DATABASE}/recommendations shows how it goes")


def optimize(client: Client, addresses: dict[str, str], options) -> None:
    """Settings that the findings suggest, which a person changes; then the database's indexes."""
    figures = gather(client, addresses)
    suggested = [f for f in findings_of(figures, detailed=True)
                 if f.setting and f.value and f.severity != "info"]
    if suggested:
        print("settings (changed in the configuration, then a restart):")
    for finding in suggested:
        print(f"  {finding.setting}: {finding.value}    # {finding.object}: {finding.finding}")
    _optimize_database(client, options.apply, options.budget_gb, options.table)


def cleanup(client: Client, _addresses: dict[str, str], options) -> None:
    kinds = options.only.split(",") if options.only else suite_cleanup.KINDS
    unknown = [kind for kind in kinds if kind not in suite_cleanup.KINDS]
    if unknown:
        sys.exit(f"slipctl: --only {','.join(unknown)}: choose of {','.join(suite_cleanup.KINDS)}")
    older_than_ms = None
    if options.older_than_hours is not None:
        older_than_ms = int(options.older_than_hours * 3_600_000)
    done, failed = suite_cleanup.clean(client, kinds, options.dry_run, older_than_ms)
    print(json.dumps({"dry_run": options.dry_run, "cleaned": done, "not_cleaned": failed},
                     indent=2))
    # What was asked for by name and could not be done is a failure.
    if failed and (options.only or not done):
        sys.exit("slipctl: " + "; ".join(f"{kind}: {reason}" for kind, reason in failed.items()))


def add_commands(add) -> None:
    """`add(name, function, help)` makes a subcommand whose function gets client, addresses and
    options."""
    def examining(name, function, help_text):
        command = add(name, function, help_text)
        command.add_argument("--metrics", action="append", default=[], metavar="NAME=HOST:PORT",
                             help="/metrics of a process (default: those of the local suite)")
        return command

    command = examining("analyze", analyze, "what is worth changing, with the evidence")
    command.add_argument("--detailed", action="store_true",
                         help="also what is only for information, and the evidence's figures")
    command.add_argument("--auto-optimize", action="store_true",
                         help="then apply what the database optimizer recommends")
    command.add_argument("--export", metavar="FILE",
                         help="write it as JSON, HTML or Markdown, by the file's ending")
    command = examining("optimize", optimize, "suggested settings and indexes; changes nothing "
                        "without --apply")
    command.add_argument("--apply", action="store_true",
                         help="apply the database's recommendations; each is verified")
    command.add_argument("--budget-gb", type=float, help="space that new indexes may take, GiB")
    command.add_argument("--table", action="append", default=[], help="only this table; repeatable")
    command = examining("report", report, "the findings as a document")
    command.add_argument("--format", choices=suite_report.FORMATS,
                         help="default: by the ending of --export, else md")
    command.add_argument("--detailed", action="store_true", help="with all figures")
    command.add_argument("--export", metavar="FILE", help="write it there instead of printing it")
    command = add("cleanup", cleanup, "remove results whose time is over, expired artifacts, dead "
                  "letters and deliveries")
    command.add_argument("--dry-run", action="store_true", help="count, and remove nothing")
    command.add_argument("--only", help="of " + ",".join(suite_cleanup.KINDS))
    command.add_argument("--older-than-hours", type=float,
                         help="results that ended longer ago (default: whose time is over)")
