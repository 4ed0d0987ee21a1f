"""CloudEvents, read by the project's own library for Python, which refuses what the specification does not allow."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))

import cloudevents.exceptions
from cloudevents.http import from_json
from common import check


def main():
    path = pathlib.Path(sys.argv[1])
    lines = path.read_text().splitlines()
    seen = set()
    for line in lines:
        event = from_json(line)
        data = event.data
        if data["id"] != event["id"]:
            check(False, f"the entry of {event['id']} is another one")
        if not event["type"].startswith(f"taskpass.audit.v1.{data['kind']}."):
            check(False, f"an event of type {event['type']} about {data['kind']}")
        seen.add((event["source"], event["id"]))
    check(len(seen) == len(lines) > 10, f"Python reads {len(lines)} CloudEvents of {path.name}, each with a name of its own")
    bad = {**json.loads(lines[0])}
    del bad["source"]
    try:
        from_json(json.dumps(bad))
    except cloudevents.exceptions.MissingRequiredFields:
        check(True, "and refuses one without a source")
    else:
        check(False, "one without a source is taken")


main()
