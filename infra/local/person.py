"""What a person does with the app, as the app does it: through API Gateway, with a token, and with keys that make a second tap the same as the first."""

import json
import time
import uuid

from local import STAGING, Failure


def ask(stack, path, body, roles, expected, key=None):
    code, answer = stack.post(path, body, roles, key)
    if code != expected:
        raise Failure(f"POST {path} was answered {code}: {json.dumps(answer)}")
    return answer


def wait(stack, path, seconds, show):
    """Follows something to its end."""
    deadline = time.monotonic() + seconds
    while True:
        code, status = stack.get(path)
        if code == 200:
            show(f"{status['status']:11} {status['progress']:3} %  {status.get('phase', ''):11} {status.get('rows', 0):>10,} rows")
            if status["status"] in ("completed", "failed"):
                break
        if time.monotonic() > deadline:
            raise Failure(f"{path} is not done after {seconds} s: {code} {json.dumps(status)}")
        time.sleep(0.3)
    if status["status"] != "completed":
        raise Failure(f"{path} failed: {status.get('error')}")
    return status


def use_the_app(stack, say, line):
    """A backup now, a restore of it into staging, and a look at what a cleanup would do."""
    _, seen = stack.get("/v1/summary")
    say(f"summary: {seen['verdict']}; work of the last {seen['recoveryPointS']} s would be lost now, "
        f"a restore took {seen['recoveryTimeMs'] / 1000:.1f} s, next backup due {seen['nextDue']}")
    for reason in seen["reasons"]:
        say(f"  because {reason['message']}")

    code, refused = stack.post("/v1/backups", {"source": "all"}, ["viewer"])
    say(f"a viewer asks for a backup: {code}, {refused['detail'].split(';')[0]}")
    key = str(uuid.uuid4())
    tapped = [ask(stack, "/v1/backups", {"source": "all"}, ["operator"], 202, key)["id"] for _ in range(2)]
    if tapped[0] != tapped[1]:
        raise Failure(f"two taps with one key made two backups: {tapped}")
    begun = time.monotonic()
    backup = wait(stack, f"/v1/backups/{tapped[0]}", 120, line.show)
    line.close()
    say(f"an operator taps twice with one key: one backup, whole in {len(backup['replicas'])} regions after {time.monotonic() - begun:.1f} s; "
        f"{backup['segments']['segmentsReused']:,} segments reused, {backup['segments']['segmentsCopied']:,} copied")
    _, inside = stack.get(f"/v1/backups/{backup['id']}/tables")
    largest = inside["tables"][0]
    say(f"inside: {inside['tablesTotal']} tables, the largest {largest['schema']}.{largest['name']} with {largest['rows']:,} rows")

    wish = {"backupId": backup["id"], "targetEnvironment": "staging", "include": {"schemas": ["public"], "leaveOutReferences": True}}
    plan = ask(stack, "/v1/restores", wish | {"dryRun": True}, ["operator"], 200)
    say(f"a restore into staging would bring {plan['rows']:,} rows from {plan['region']}, masked, in about {plan['expectedMs'] / 1000:.1f} s")
    restore = ask(stack, "/v1/restores", wish, ["operator"], 202)
    done = wait(stack, f"/v1/restores/{restore['id']}", 120, line.show)
    line.close()
    there = int(stack.sql(STAGING, "select count(*) from public.customers"))
    say(f"done: {done['restored']['tables']} tables, {done['restored']['maskedTables']} of them masked; staging has {there:,} customers")

    code, refused = stack.post("/v1/restores", {"backupId": backup["id"], "targetEnvironment": "production"}, ["operator"])
    say(f"an operator asks for production: {code}, {refused['detail'].split(';')[0]}")
    code, refused = stack.post("/v1/restores", {"backupId": backup["id"], "targetEnvironment": "production"}, ["restorer"])
    say(f"a restorer without the words: {code}, {refused['detail'].split('; ')[-1]}")

    ask(stack, f"/v1/backups/{backup['id']}/pin", {"pinned": True, "note": "the demo"}, ["admin"], 200)
    plan = ask(stack, "/v1/cleanup", {"dryRun": True}, ["admin"], 200)
    kept = {reason for decision in plan["plan"] for reason in decision["keptBy"]}
    say(f"a cleanup would remove {plan['removed']} of {len(plan['plan'])} backups; they are kept by: {', '.join(sorted(kept))}")
    cleanup = ask(stack, "/v1/cleanup", {}, ["admin"], 202)
    deadline = time.monotonic() + 60
    while (state := stack.get(f"/v1/cleanups/{cleanup['id']}")[1])["status"] in ("pending", "in_progress") and time.monotonic() < deadline:
        time.sleep(0.3)
    if state["status"] != "completed":
        raise Failure(f"the cleanup ended so: {json.dumps(state)}")
    say(f"it is done: {state['removed']} removed")
    _, audit = stack.call("GET", "/v1/audit?limit=100", ["admin"])
    ended = [entry for entry in audit["entries"] if entry.get("status")]
    say(f"the audit has {len(audit['entries'])} entries; the last: {ended[0]['actor']['email']} {ended[0]['action']} {ended[0]['status']}")
