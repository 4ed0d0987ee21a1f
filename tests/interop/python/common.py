"""What the parts written in Python share: the command line, HTTP, and one line for each check.

run.sh says in the environment where everything is. A part ends at its first check that does not hold,
with exit code 1.
"""

import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request
import warnings

# RFC 9864 gives the algorithm of an Ed25519 key a second name; JWKS and tokens bear the first one.
warnings.filterwarnings("ignore", message="EdDSA is deprecated")

TASKPASS = os.environ["INTEROP_TASKPASS"]
WORK = pathlib.Path(os.environ["INTEROP_WORK"])
HTTP = os.environ["TASKPASS_HTTP"]
IDENTITIES = WORK / "dev/identities"
BOT = IDENTITIES / "invoice-bot"
LEDGER, ARCHIVE, CLOUD = "https://ledger.example", "https://archive.example", "https://cloud.example"
# A revocation must show within this wherever it is published.
BOUND = 3.0


def check(holds, what):
    print(("ok      " if holds else "FAILED  ") + what, flush=True)
    if not holds:
        sys.exit(1)


def figure(what, seconds):
    print(f"figure  {what}: {seconds * 1000:.0f} ms", flush=True)


def run(*command):
    """The exit code and all that was said."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def taskpass(*args, identity=None):
    """Runs a command as the operator, or as `identity`, and reads its JSON."""
    prefix = [TASKPASS, "-o", "json"] + (["--identity", str(identity)] if identity else [])
    done = subprocess.run([*prefix, *map(str, args)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        check(False, f"taskpass {' '.join(map(str, args))}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as reply:
        return reply.read(), reply.headers


def discovery():
    return json.loads(fetch(f"{HTTP}/.well-known/openid-configuration")[0])


def holder(name):
    """What prepare.py had issued for a part: a task, its tokens, the folder of its certificates."""
    folder = WORK / "credentials" / name
    return json.loads((folder / "holder.json").read_text()), folder


def revoke(task):
    """Revokes, and returns the instant at which that was acknowledged."""
    done = taskpass("revoke", "--task", task, "--reason", "interop")
    return done, time.monotonic()


def wait_until(seen, since):
    """Asks `seen` until it holds; how long that was after `since`, or None if over the bound."""
    while True:
        holds = seen()
        took = time.monotonic() - since
        if holds:
            return took
        if took > BOUND:
            return None
        time.sleep(0.01)
