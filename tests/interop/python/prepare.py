"""Has issued, once, what the parts need: for each part a task of its own that it can revoke.

    credentials/PART/holder.json      the task, its tokens, the credentials' ids
    credentials/PART/{client,long,svid}/   certificates: for a quarter of an hour, for two hours, SPIFFE
    credentials/PART/*.jwt            the tokens again, as files

`forged/` gets what nobody may accept; see forge.py.
"""

import json
import sys

import forge
from common import ARCHIVE, BOT, CLOUD, LEDGER, WORK, taskpass

SCOPES = {LEDGER: "invoices:read", ARCHIVE: "files:read", CLOUD: "assume"}
TOKENS = {"es256": LEDGER, "eddsa": ARCHIVE, "cloud": CLOUD}


def register():
    taskpass("target", "register", ARCHIVE, "--risk", "low", "--scope", "files:read=read", "--token-alg", "EdDSA")
    taskpass("target", "register", CLOUD, "--risk", "low", "--scope", "assume=read", "--token-profile", "cloud")
    granted = [word for target, scope in SCOPES.items() for word in ("--scope", f"{target}#{scope}")]
    taskpass("agent", "update", "invoice-bot", *granted, "--label", "svid=allowed", "--reason", "interoperability")
    return granted


def prepare(part, granted):
    folder = WORK / "credentials" / part
    folder.mkdir(parents=True)
    task = taskpass("task", "start", "--purpose", f"interop {part}", "--ttl", "4h", *granted, identity=BOT)["task_id"]
    held = {"task": task, "ids": {}}

    def certificate(name, *more):
        out = folder / name
        issued = taskpass("issue", "cert", "--task", task, "--out", out, *more, identity=BOT)
        held["ids"][name], held[f"{name}_expires_at"] = issued["credential_id"], issued["expires_at"]

    def token(name, target, *more):
        scope = SCOPES[target]
        issued = taskpass(
            "issue", "token", "--task", task, "--target", target, "--scope", scope, *more, identity=BOT
        )
        held["ids"][name], held[name] = issued["credential_id"], issued["token"]
        (folder / f"{name}.jwt").write_text(issued["token"])

    certificate("client")
    certificate("long", "--ttl", "2h")
    certificate("svid", "--profile", "spiffe-svid")
    for name, target in TOKENS.items():
        token(name, target)
    token("bound", LEDGER, "--bind-cert", folder / "client/cert.pem")
    (folder / "holder.json").write_text(json.dumps(held))


def main():
    granted = register()
    for part in sys.argv[1:]:
        prepare(part, granted)
    forge.certificates()
    forge.tokens()


main()
