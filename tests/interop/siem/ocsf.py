"""Events of OCSF, each against the schema of its class as the project publishes it; ocsf-json-schema makes JSON
Schema of it, and jsonschema checks. Whatever no class has is refused, so a misspelt field is noticed."""

import copy
import json
import pathlib
import sys
from collections import Counter

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))

from common import check
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

VERSION = "1.3.0"
published = get_ocsf_schema(version=VERSION)
schema = OcsfJsonSchemaEmbedded(published)
classes = {}


def faults(event):
    """What is wrong with an event, in words."""
    name = schema.lookup_class_name_from_uid(class_uid=event["class_uid"])
    # What an event may have beyond its class it names itself.
    key = name, *event.get("metadata", {}).get("profiles", [])
    if key not in classes:
        made = schema.get_class_schema(class_name=name, profiles=list(key[1:]))
        classes[key] = Draft202012Validator(made)
    return [f"{error.json_path}: {error.message[:200]}" for error in classes[key].iter_errors(event)]


def activities(event):
    """What the class calls its activities."""
    name = schema.lookup_class_name_from_uid(class_uid=event["class_uid"])
    return published["classes"][name]["attributes"]["activity_id"]["enum"]


def spoilt(event):
    """The same with one thing wrong, each in another way."""

    def changed(change):
        bad = copy.deepcopy(event)
        change(bad)
        return bad

    yield "a field that no class has", changed(lambda bad: bad.update(colour="red"))
    yield "no metadata", changed(lambda bad: bad.pop("metadata"))
    yield "a field that no object has", changed(lambda bad: bad["metadata"].update(colour="red"))
    yield "a time that is text", changed(lambda bad: bad.update(time="now"))
    yield "an activity that the class has not", changed(lambda bad: bad.update(activity_id=77))


def main():
    path = pathlib.Path(sys.argv[1])
    events = [json.loads(line) for line in path.read_text().splitlines()]
    check(len(events) > 10, f"{len(events)} events in {path.name}")
    kinds = Counter()
    for event in events:
        entry = json.loads(event["raw_data"])
        what = f"{entry['kind']} {entry['outcome']}"
        wrong = faults(event)
        if wrong:
            check(False, f"{what}: {'; '.join(wrong)}\n{json.dumps(event)}")
        if event["metadata"]["version"] != VERSION:
            check(False, f"{what} says that it is of {event['metadata']['version']}")
        # What no schema can say: an event's type is that of its class and activity.
        if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
            check(False, f"{what}: type_uid {event['type_uid']}")
        name = event["activity_name"]
        caption = activities(event)[str(event["activity_id"])]["caption"]
        if name != (entry["kind"] if caption == "Other" else caption):
            check(False, f"{what}: activity_name {name} of {caption}")
        kinds[schema.lookup_class_name_from_uid(class_uid=event["class_uid"])] += 1
    counted = ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
    check(True, f"OCSF {VERSION} has the events of {path.name}: {counted}")
    for event in {event["class_uid"]: event for event in events}.values():
        for what, bad in spoilt(event):
            if not faults(bad):
                check(False, f"class {event['class_uid']} takes {what}")
    check(True, "and refuses each that is spoilt")


main()
