"""slipctl: a suite from the command line. Finds a local suite by its run folder."""

import argparse
import json
import os
import sys
from pathlib import Path

import slipctl_analyze
import tokens
from client import ApiError, Client
from suite import ROOT
from suite_figures import metrics_addresses


def _run_folder(options) -> Path:
    return Path(options.run or os.environ.get("SLIP_RUN_DIR", ROOT / ".run"))


def _secret(options) -> bytes:
    path = Path(options.secret_file) if options.secret_file else _run_folder(options) / "hs256.secret"
    if not path.exists():
        sys.exit(f"slipctl: no secret at {path}; start a suite with tools/up, or name one with "
                 "--secret-file")
    return tokens.read_secret(path)


def _token(options) -> str:
    roles = ["user"] + (["admin"] if options.admin else [])
    return tokens.issue(_secret(options), options.user, roles, options.tenant, options.lifetime)


def _state(options) -> dict:
    """What the local suite's run folder says of it; empty when none runs."""
    state = _run_folder(options) / "suite.json"
    return json.loads(state.read_text()) if state.exists() else {}


def _client(options) -> Client:
    base = options.edge
    if not base:
        state = _state(options)
        if not state:
            sys.exit(f"slipctl: no suite runs ({_run_folder(options)}/suite.json is missing); start "
                     "one with tools/up, or name an edge with --edge http://host:port")
        base = state["edge"]
    return Client(base, os.environ.get("SLIP_TOKEN") or _token(options))


def _print(value) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _args_of(options) -> dict:
    args = json.loads(options.args) if options.args else {}
    if options.prompt:
        args["prompt"] = Path(options.prompt).read_text()
    return args


def token(options) -> None:
    print(_token(options))


def submit(options) -> None:
    extra = {"priority": options.priority} if options.priority else {}
    _print(_client(options).submit(options.task_type, _args_of(options), **extra))


def watch(options) -> None:
    path = (f"/async-monitoring/tasks/{options.task_id}/stream/" if options.task_id
            else "/api/v1/notifications/stream")
    for event in _client(options).events(path, timeout_s=86400):
        if event["event"] == "error":
            sys.exit(f"slipctl: {event['data'].get('detail', event['data'])}")
        if event["event"] == "message":
            print(json.dumps(event["data"], ensure_ascii=False), flush=True)


def tasks(options) -> None:
    query = f"?page_size={options.limit}" + (f"&status={options.status}" if options.status else "")
    listed = _client(options).get(f"/api/v1/async-tasks/user/tasks{query}")
    for task in listed["tasks"]:
        print(f"{task['task_id']}  {task['status']:<10} {task['progress']:>3} %  "
              f"{task['task_type']:<20} {task['created_at']}")


def stats(options) -> None:
    client = _client(options)
    _print({"queue": client.get("/api/v1/async-tasks/queue/stats"),
            "cache": client.get("/api/v1/performance/cache/stats")})


def _looking_after(function):
    """A command of slipctl_analyze: as an administrator, since most of what it needs is theirs."""
    def run(options) -> None:
        options.admin = True
        state = {} if options.edge else _state(options)
        try:
            addresses = metrics_addresses(state, getattr(options, "metrics", []))
        except ValueError as error:
            sys.exit(f"slipctl: {error}")
        function(_client(options), addresses, options)
    return run


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--user", default="alice", help="whose token is made (default: alice)")
    common.add_argument("--admin", action="store_true", help="the token has the role admin too")
    common.add_argument("--tenant", default="", help="the token's tenant")
    common.add_argument("--lifetime", type=int, default=3600, help="of the token, in seconds")
    common.add_argument("--secret-file", help="HS256 secret (default: that of the local suite)")
    common.add_argument("--run", help="run folder of a local suite (default: .run)")
    common.add_argument("--edge", help="http://host:port of the edge (default: the local suite's)")
    parser = argparse.ArgumentParser(prog="slipctl", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name, function, help_text):
        command = commands.add_parser(name, parents=[common], help=help_text)
        command.set_defaults(function=function)
        return command

    add("token", token, "print a token and nothing else")
    command = add("submit", submit, "submit a task and print it")
    command.add_argument("task_type")
    command.add_argument("--args", help="arguments, a JSON object")
    command.add_argument("--prompt", help="file whose text becomes the argument `prompt`")
    command.add_argument("--priority", choices=["LOW", "NORMAL", "HIGH", "URGENT"])
    command = add("watch", watch, "print a task's states until it ends, or all events of the user")
    command.add_argument("task_id", nargs="?")
    command = add("tasks", tasks, "list own tasks, newest first")
    command.add_argument("--status", help="only this status, such as RUNNING")
    command.add_argument("--limit", type=int, default=20)
    add("stats", stats, "figures of queue and cache")
    slipctl_analyze.add_commands(
        lambda name, function, help_text: add(name, _looking_after(function), help_text))
    return parser


def main() -> None:
    options = _parser().parse_args()
    try:
        options.function(options)
    except ApiError as error:
        sys.exit(f"slipctl: {error}")
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        sys.exit(1)
    except OSError as error:
        sys.exit(f"slipctl: the edge cannot be reached: {error}")
    except json.JSONDecodeError as error:
        sys.exit(f"slipctl: not JSON: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
