"""Removes what a suite no longer needs: results, artifacts, dead letters and deliveries."""

from client import ApiError, Client
from suite_figures import num, why

KINDS = ["results", "artifacts", "dead-letters", "deliveries"]
MAX_ROUNDS = 1000  # the services bound each call; together millions of entries


class Unavailable(Exception):
    """The suite cannot clean this up; the message says why."""


def _rounds(client: Client, path: str, body: dict, counts: list[str]) -> dict[str, int]:
    """Calls until nothing more is left; with dry_run once, since nothing goes."""
    total = dict.fromkeys(counts, 0)
    for _ in range(MAX_ROUNDS):
        answer = client.post(path, body)
        for count in counts:
            total[count] += int(num(answer.get(count)))
        if body["dry_run"] or not answer.get("more"):
            if answer.get("more"):
                total["at_least"] = 1
            break
    return total


def _results(client: Client, dry_run: bool, older_than_ms: int | None) -> dict[str, int]:
    body = {"dry_run": dry_run}
    if older_than_ms is not None:
        body["older_than_ms"] = older_than_ms
    return _rounds(client, "/api/v1/async-tasks/cleanup", body, ["removed_count"])


def _artifacts(client: Client, dry_run: bool, _older_than_ms) -> dict[str, int]:
    return _rounds(client, "/api/v1/artifacts/cleanup", {"dry_run": dry_run},
                   ["expired_count", "orphans_count", "freed_bytes"])


def _dead_letters(client: Client, dry_run: bool, _older_than_ms) -> dict[str, int]:
    return _rounds(client, "/api/v1/async-tasks/queue/purge",
                   {"task_type": "*", "status": ["FAILED"], "dry_run": dry_run}, ["purged_count"])


def _deliveries(client: Client, _dry_run: bool, _older_than_ms) -> dict[str, int]:
    try:
        client.get("/api/v1/webhooks?page_size=1")
    except ApiError as error:
        if error.problem.get("reason") != "NOT_BUILT_YET":
            raise
        raise Unavailable("the running suite has no webhooks yet (NOT_BUILT_YET), so there are no "
                          "deliveries to remove") from error
    raise Unavailable("the suite has no call that removes deliveries; a delivery goes with its "
                      "webhook (DELETE /api/v1/webhooks/{webhook_id})")


_CLEANERS = {"results": _results, "artifacts": _artifacts, "dead-letters": _dead_letters,
             "deliveries": _deliveries}


def clean(client: Client, kinds: list[str], dry_run: bool, older_than_ms: int | None
          ) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """What was removed (or would be) by kind, and why a kind could not be cleaned up."""
    done, failed = {}, {}
    for kind in kinds:
        try:
            done[kind] = _CLEANERS[kind](client, dry_run, older_than_ms)
        except ApiError as error:
            failed[kind] = why(error)
        except Unavailable as error:
            failed[kind] = str(error)
    return done, failed
