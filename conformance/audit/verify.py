#!/usr/bin/env python3
"""Verifies an export of the audit trail without any code of ours: written from README.md beside it, with Python's
standard library alone.

    verify.py [--heads DIR] [--key FILE] FILE…

FILE is what `vitals audit export` or `vitals audit seal --out` wrote, or, for whoever trusts neither, a CSV from
psql (see README.md). DIR holds the heads that were kept outside the database; FILE after --key the public key, as
`vitals audit key` prints it, else the keys beside the heads are used. Exit code 0: all of it holds; 1: it does not.
"""

import argparse
import base64
import csv
import glob
import gzip
import hashlib
import json
import os
import sys

NOTHING = bytes(32)

# P-256 (FIPS 186-5; SEC 2, section 2.4.2): y² = x³ - 3x + B over P, a base point of order N.
P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def double(p):
    if p is None or p[1] == 0:
        return None
    slope = 3 * (p[0] * p[0] - 1) * pow(2 * p[1], -1, P) % P
    x = (slope * slope - 2 * p[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def add(p, q):
    if p is None or q is None:
        return p or q
    if p[0] == q[0]:
        return double(p) if p[1] == q[1] else None
    slope = (q[1] - p[1]) * pow(q[0] - p[0], -1, P) % P
    x = (slope * slope - p[0] - q[0]) % P
    return x, (slope * (p[0] - x) - p[1]) % P


def times(k, p):
    total = None
    while k:
        if k & 1:
            total = add(total, p)
        p, k = double(p), k >> 1
    return total


def b64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def es256(key, message, signature):
    """Whether a signature (r and s, 32 bytes each) of a message is good: FIPS 186-5, section 6.4.2."""
    x, y = (int.from_bytes(b64(key[name]), "big") for name in "xy")
    if len(signature) != 64 or (y * y - x * x * x + 3 * x - B) % P:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if not (0 < r < N and 0 < s < N):
        return False
    e = int.from_bytes(hashlib.sha256(message).digest(), "big")
    w = pow(s, -1, N)
    point = add(times(e * w % N, G), times(r * w % N, (x, y)))
    return point is not None and point[0] % N == r


class Bad(Exception):
    """What does not hold."""


def statement(line, keys, where):
    """A signed line, if its signature is good."""
    said = json.loads(line)
    key = keys.get(said.get("key"))
    if key is None:
        raise Bad(f"{where}: signed with a key that is not known")
    signed = line[: line.rindex(',"signature":"')]
    if not es256(key, signed.encode(), b64(said["signature"])):
        raise Bad(f"{where}: its signature is not good")
    return said


def statements(path, keys):
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            try:
                json.loads(line)
            except ValueError:
                print(f"{path}:{number} is no statement; a process that was killed may leave such", file=sys.stderr)
                continue
            yield line, statement(line, keys, f"{path}:{number}")


def heads(folder, keys):
    """The heads of a folder. Each carries the fingerprint of the line its writer signed before."""
    before = {}
    for path in sorted(glob.glob(os.path.join(folder, "????-??-??.*.ndjson"))):
        for line, said in statements(path, keys):
            if said["writer"] in before and before[said["writer"]] != said.get("previous"):
                raise Bad(f"{path}: the head before record {said['sequence']} of writer {said['writer']} is gone")
            before[said["writer"]] = hashlib.sha256(line.encode()).hexdigest()
            yield said


def receipts(folder, keys):
    path = os.path.join(folder, "receipts.ndjson")
    return [said for _, said in statements(path, keys)] if os.path.exists(path) else []


def records(path):
    """Text, previous hash and hash of each record of a file."""
    opened = gzip.open if path.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", newline="") as lines:
        first = lines.read(1)
        lines.seek(0)
        if first == "{":
            for line in lines:
                line = line.rstrip("\n")
                said = json.loads(line)
                # The text byte by byte, as it was hashed.
                text = line[line.index('"record":') + len('"record":') : -1]
                yield text, bytes.fromhex(said["previous"]), bytes.fromhex(said["hash"])
        else:
            for row in csv.DictReader(lines):
                yield row["record"], bytes.fromhex(row["previous"]), bytes.fromhex(row["hash"])


def verify(files, folder, keys):
    chains = {}
    count = 0
    for path in files:
        for text, previous, stored in records(path):
            said = json.loads(text)
            place = f"record {said['sequence']} of writer {said['writer']} in chain {said['chain']}"
            if hashlib.sha256(previous + text.encode()).digest() != stored:
                raise Bad(f"{place}: its hash is not that of its text and the one before")
            writer = chains.setdefault(said["chain"], {}).setdefault(said["writer"], {})
            if said["sequence"] in writer:
                raise Bad(f"{place}: there are two")
            # First and last number, the hash before, the hash, and those that others began behind.
            writer[said["sequence"]] = (said["sequence"], previous, stored)
            count += 1
    sealed = 0
    known = {chain: {NOTHING} for chain in chains}
    for said in receipts(folder, keys) if folder else []:
        if said["chain"] not in chains:
            continue
        writer = chains[said["chain"]].setdefault(said["writer"], {})
        if said["first"] not in writer:
            stretch = (said["last"], bytes.fromhex(said["previous"]), bytes.fromhex(said["hash"]))
            writer[said["first"]] = stretch
            sealed += said["last"] - said["first"] + 1
        known[said["chain"]].update(bytes.fromhex(each) for each in said.get("followed", []))
    for chain, writers in chains.items():
        known[chain].update(hash_ for writer in writers.values() for _, _, hash_ in writer.values())
        for number, writer in writers.items():
            expected, before = 1, None
            for first in sorted(writer):
                last, previous, hash_ = writer[first]
                if first != expected:
                    raise Bad(f"record {expected} of writer {number} in chain {chain} is missing")
                if before is not None and previous != before:
                    raise Bad(f"record {first} of writer {number} in chain {chain} does not follow the one before")
                if before is None and previous not in known[chain]:
                    raise Bad(f"the first record of writer {number} in chain {chain} follows one that is not there")
                expected, before = last + 1, hash_
    held = 0
    for said in heads(folder, keys) if folder else []:
        if said["chain"] not in chains:
            continue
        writer = chains[said["chain"]].get(said["writer"], {})
        place = f"record {said['sequence']} of writer {said['writer']} in chain {said['chain']}"
        by_last = {last: hash_ for last, _, hash_ in writer.values()}
        covered = any(first <= said["sequence"] < last for first, (last, _, _) in writer.items())
        if not covered and by_last.get(said["sequence"]) != bytes.fromhex(said["hash"]):
            raise Bad(f"{place}: is not there, or is not the one that a kept head names")
        held += 1
    return count, sealed, held


def main():
    parser = argparse.ArgumentParser(description="Verifies an export of the audit trail.")
    parser.add_argument("--heads", metavar="DIR")
    parser.add_argument("--key", metavar="FILE")
    parser.add_argument("files", nargs="+", metavar="FILE")
    asked = parser.parse_args()
    source = asked.key or (asked.heads and os.path.join(asked.heads, "keys.json"))
    keys = {}
    if source:
        with open(source, encoding="utf-8") as text:
            told = json.load(text)
        keys = {key["kid"]: key for key in told.get("keys", [told])}
    try:
        count, sealed, held = verify(asked.files, asked.heads, keys)
    except Bad as bad:
        print(f"does not hold: {bad}")
        return 1
    print(f"{count} records, {sealed} sealed ones, {held} heads: every one holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
