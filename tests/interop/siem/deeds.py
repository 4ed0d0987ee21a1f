"""Does a little of everything that an operator and an agent do, and is refused a little, so that the log of this
run has entries of most kinds."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))

from common import BOT, LEDGER, TASKPASS, WORK, run, taskpass


def main():
    read, send = f"{LEDGER}#invoices:read", f"{LEDGER}#payments:send"
    task = taskpass("task", "start", "--purpose", "events", "--scope", read, identity=BOT)["task_id"]
    token = ("issue", "token", "--task", task, "--target", LEDGER, "--scope", "invoices:read")
    issued = taskpass(*token, identity=BOT)["credential_id"]
    taskpass("revoke", "--credential", issued, "--reason", "events")
    taskpass("task", "complete", task, identity=BOT)
    taskpass("agent", "suspend", "payout-bot", "--reason", "events")
    taskpass("agent", "resume", "payout-bot", "--reason", "events")
    taskpass("policy", "what-can", "invoice-bot")
    taskpass("keys", "rotate", "token-es256")
    # Refused: by policy, because the task is over, and because agents may not.
    for line in (
        ("task", "start", "--purpose", "events", "--scope", send),
        token,
        ("audit", "query"),
    ):
        code, said = run(TASKPASS, "--identity", BOT, *line)
        if code == 0:
            raise SystemExit(f"{' '.join(line)} was not refused: {said}")
    enrol = WORK / "enrol.token"
    taskpass("agent", "enrol-token", "payout-bot", "--out", enrol)
    taskpass("enrol", "--token-file", enrol, "--out", WORK / "enrolled")


main()
