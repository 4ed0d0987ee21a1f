"""Verifies a log's folder with nothing of taskpass: Python 3 and pyca/cryptography.

    tlog_check.py FOLDER VKEY [--since CHECKPOINT]
    tlog_check.py ROOT [--since CHECKPOINT]

FOLDER is a C2SP tlog-tiles log on disk, VKEY its verification key (`name+id+base64`). The tree is
computed anew from the entry bundles by the definition of RFC 6962, the checkpoint's signature and
root are checked, and every tile that a log of that size has is compared. With --since, the log must
have grown from the checkpoint in that file.

ROOT holds one such log for each month (2026-11) with its key beside it (2026-11.vkey). Each month must
begin with an entry that names it, and that holds the last checkpoint of the month before. Exit code 0:
all of it held. 1: the last line says what did not.
"""

import argparse
import base64
import hashlib
import json
import pathlib
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

WIDTH, HASH = 256, 32


class Refused(Exception):
    """The log does not hold; the message says where."""


def require(holds, why):
    if not holds:
        raise Refused(why)


def unbase64(text, what):
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Refused(f"{what} is not base64") from error
    require(base64.b64encode(raw).decode() == text, f"{what} is not canonical base64")
    return raw


def parse_vkey(vkey):
    parts = vkey.strip().split("+", 2)
    require(len(parts) == 3, "the key is not `name+id+base64`")
    name, key_id, raw = parts[0], parts[1], unbase64(parts[2], "the key")
    require(len(raw) == 33 and raw[0] == 1, "the key is not of the kind Ed25519")
    expected = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    require(expected.hex() == key_id, f"the id of the key is {key_id}, expected {expected.hex()}")
    return name, expected, Ed25519PublicKey.from_public_bytes(raw[1:])


def open_checkpoint(path, key):
    require(path.is_file(), f"{path} is missing")
    return open_note(path, path.read_bytes().decode("utf-8"), key)


def open_note(path, note, key):
    name, key_id, public = key
    require("\n\n" in note and note.endswith("\n"), f"{path} is not a signed note")
    at = note.rindex("\n\n")
    text, lines = note[: at + 1], note[at + 2 : -1].split("\n")
    verified = False
    for line in lines:
        parts = line.split(" ")
        require(len(parts) == 3 and parts[0] == "\u2014", f"{path}: not a signature: {line!r}")
        raw = unbase64(parts[2], f"{path}: the signature by {parts[1]}")
        if parts[1] != name or raw[:4] != key_id:
            continue
        try:
            public.verify(raw[4:], text.encode())
        except InvalidSignature as error:
            raise Refused(f"{path}: the signature by {name} does not hold") from error
        verified = True
    require(verified, f"{path} is not signed by {name}")
    lines = text.split("\n")
    require(len(lines) == 4, f"{path} is not three lines")
    origin, size, root = lines[0], lines[1], unbase64(lines[2], f"{path}: the root")
    require(origin == name, f"{path} is of log {origin}, expected {name}")
    require(re.fullmatch(r"0|[1-9][0-9]*", size), f"{path}: {size!r} is no size")
    require(len(root) == HASH, f"{path}: the root has {len(root)} bytes")
    return int(size), root


def tile_path(folder, kind, index, width):
    path = f"{index % 1000:03}"
    while index >= 1000:
        index //= 1000
        path = f"x{index % 1000:03}/{path}"
    full = folder / "tile" / str(kind) / path
    if width == WIDTH:
        return full
    partial = full.with_name(full.name + ".p") / str(width)
    # A log that has gone on may have removed the partial file.
    return partial if partial.is_file() else full


def tiles(count):
    for index in range((count + WIDTH - 1) // WIDTH):
        yield index, min(WIDTH, count - index * WIDTH)


def read(path):
    require(path.is_file(), f"{path} is missing")
    return path.read_bytes()


def entries(folder, size):
    for index, width in tiles(size):
        path = tile_path(folder, "entries", index, width)
        bundle, at, found = read(path), 0, []
        while at < len(bundle):
            length = int.from_bytes(bundle[at : at + 2], "big")
            entry = bundle[at + 2 : at + 2 + length]
            require(at + 2 <= len(bundle) and len(entry) == length, f"{path} is cut off")
            found.append(entry)
            at += 2 + length
        partial = path.parent.name.endswith(".p")
        expected = width if partial else WIDTH
        require(len(found) == expected, f"{path} has {len(found)} entries, expected {expected}")
        yield from found[:width]


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(hashes):
    """Level by level: a node without a sibling rises as it is, which is RFC 6962's tree."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        paired = [node(*hashes[i : i + 2]) for i in range(0, len(hashes) - 1, 2)]
        hashes = paired + hashes[len(paired) * 2 :]
    return hashes[0]


def check_tiles(folder, leaves):
    level, hashes = 0, leaves
    while hashes:
        for index, width in tiles(len(hashes)):
            path = tile_path(folder, level, index, width)
            found = read(path)
            require(len(found) % HASH == 0, f"{path} has {len(found)} bytes")
            expected = hashes[index * WIDTH : index * WIDTH + width]
            for place, want in enumerate(expected):
                have = found[place * HASH : (place + 1) * HASH]
                item = index * WIDTH + place
                require(have == want, f"{path}: hash {item} is {have.hex()}, expected {want.hex()}")
        full = len(hashes) // WIDTH
        hashes = [tree_root(hashes[i * WIDTH : (i + 1) * WIDTH]) for i in range(full)]
        level += 1


def check(folder, key, since):
    size, root = open_checkpoint(folder / "checkpoint", key)
    first, leaves = None, []
    for entry in entries(folder, size):
        first = entry if first is None else first
        leaves.append(hashlib.sha256(b"\x00" + entry).digest())
    check_tiles(folder, leaves)
    found = tree_root(leaves)
    require(found == root, f"the entries give the root {found.hex()}, expected {root.hex()}")
    if since:
        old_size, old_root = open_checkpoint(since, key)
        require(old_size <= size, f"the log has {size} entries, but had {old_size}")
        found = tree_root(leaves[:old_size])
        require(
            found == old_root,
            f"the first {old_size} entries give {found.hex()}, but once gave {old_root.hex()}",
        )
    return size, root, first


def follows(folder, key, first, before):
    entry = json.loads(first or b"{}")
    log = entry.get("log", {})
    named = entry.get("kind") == "log" and log.get("origin") == key[0]
    require(named, f"{folder}: the first entry does not name {key[0]}")
    if before:
        last, last_key = before
        previous = open_note(f"{folder}: previous", log.get("previous", ""), last_key)
        require(
            previous == last,
            f"{folder} begins after {previous[0]} entries of the log before, which has {last[0]}, "
            "or after others",
        )


def check_months(root, since):
    months = sorted(p for p in root.iterdir() if re.fullmatch(r"\d{4}-\d{2}", p.name))
    require(months, f"{root} holds no log")
    before, since_origin = None, since and since.read_text(encoding="utf-8").split("\n")[0]
    for folder in months:
        key = parse_vkey(folder.with_name(f"{folder.name}.vkey").read_text(encoding="utf-8"))
        require(key[0].endswith(f"/{folder.name}"), f"{folder} has the key of {key[0]}")
        own = since if since_origin == key[0] else None
        size, tree_hash, first = check(folder, key, own)
        follows(folder, key, first, before)
        before, since = ((size, tree_hash), key), None if own else since
        yield key[0], size, tree_hash
    require(not since, f"the log {since_origin} is not here")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("vkey", nargs="?")
    parser.add_argument("--since", type=pathlib.Path)
    args = parser.parse_args()
    try:
        if args.vkey:
            key = parse_vkey(args.vkey)
            found = [(key[0], *check(args.folder, key, args.since)[:2])]
        else:
            found = list(check_months(args.folder, args.since))
    except (Refused, OSError, ValueError) as error:
        print(f"refused: {error}")
        return 1
    for origin, size, root in found:
        print(f"ok: {origin}, {size} entries, root {base64.b64encode(root).decode()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
