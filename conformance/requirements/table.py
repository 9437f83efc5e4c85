"""Writes conformance/REQUIREMENTS.md: what is asked of a server by SMART App Launch and by the g10 certification, and what
shows that this one does it.

The requirements themselves are lists of Inferno's test kits (smart.tsv and g10.tsv below FOLDER); smart.tsv and g10.tsv
beside this file say of each, by its id, whom it is for, how it stands, and by what evidence: names
separated by `; ` of tests, of checks below `checks/`, of rows of conformance/run, numbers of attacks (rows of tests), or
README.md; a remark stands in brackets. Requirements of the same number in SMART 2.0.0 and 2.2.0 are one.

Usage: table.py FOLDER            writes the table
       table.py --check FOLDER    fails when it is not what stands in the repository, or evidence is not there
FOLDER is `requirements` of the test data.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TABLE = ROOT / "conformance" / "REQUIREMENTS.md"
LISTS = {"smart": "SMART App Launch 2.0.0 and 2.2.0", "g10": "ONC § 170.315(g)(10), test procedure"}
STATES = ["passed", "open", "not applicable"]
# Letters of a requirement's text that the table shows.
SHOWN = 150


def lines(path):
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line]


def requirements(name, folder):
    """`{id: (strength, text)}`, of the newest guide that has it."""
    return {row[1]: (row[2], row[4]) for row in lines(folder / f"{name}.tsv")}


def states(name):
    """`{id: (who, state, evidence)}`."""
    found = {}
    for number, who, state, evidence in lines(HERE / f"{name}.tsv")[1:]:
        if number in found:
            sys.exit(f"{name} {number} stands twice")
        if state not in STATES or who not in ("server", "client", "other"):
            sys.exit(f"{name} {number}: {who}, {state}")
        found[number] = (who, state, evidence)
    return found


class Evidence:
    """Everything that may be named."""

    def __init__(self):
        text = self.read([ROOT / "tests", ROOT / "server", ROOT / "fhir-profiles"], "*.rs")
        self.names = set(re.findall(r"\bfn ([a-z0-9_]+)\s*[(<]", text))
        self.names |= set(re.findall(r"export async function ([a-z0-9_]+)", self.read([HERE / "checks"], "*.mjs")))
        self.names |= set(re.findall(r'check "([^"]+)"', (ROOT / "conformance" / "run").read_text(encoding="utf-8")))
        self.names |= set(re.findall(r'data_check "([^"]+)"', (ROOT / "conformance" / "run").read_text(encoding="utf-8")))
        self.attacks = set(re.findall(r'"([A-Z]\d\d)[ "]', text))
        for name in self.names:
            self.attacks |= {part.upper() for part in name.split("_") if re.fullmatch(r"[a-z]\d\d", part)}
        self.names.add("README.md")

    @staticmethod
    def read(folders, pattern):
        files = [path for folder in folders for path in sorted(folder.rglob(pattern))]
        return "\n".join(path.read_text(encoding="utf-8") for path in files)

    def has(self, name):
        if name.startswith("("):
            return True
        return name in self.attacks if re.fullmatch(r"[A-Z]\d\d", name) else name in self.names


def cut(text):
    # Links say nothing in a table, and bars would end its columns.
    text = re.sub(r"\[([^\[\]]+)\]\([^)]*\)", r"\1", text).replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= SHOWN else text[:SHOWN].rsplit(" ", 1)[0] + " …"


def shown(evidence, state):
    if state != "passed":
        return evidence.replace("|", "\\|")
    return "; ".join(name if " " in name else f"`{name}`" for name in evidence.split("; "))


def table(folder):
    evidence, wrong, out = Evidence(), [], []
    for name, title in LISTS.items():
        asked, said = requirements(name, folder), states(name)
        wrong += [f"{name} {number}: nothing is said of it" for number in asked if number not in said]
        wrong += [f"{name} {number}: there is no such requirement" for number in said if number not in asked]
        counted = {state: 0 for state in STATES}
        rows = []
        for number, (strength, text) in asked.items():
            who, state, given = said.get(number, ("server", "open", ""))
            counted[state] += 1
            if state == "passed":
                wrong += [f"{name} {number}: there is no {one!r}" for one in given.split("; ") if not evidence.has(one)]
            rows.append(f"| {number} | {strength} | {cut(text)} | {who} | {state} | {shown(given, state)} |")
        total = ", ".join(f"{count} {state}" for state, count in counted.items())
        out += [f"## {title}", "", f"{len(asked)} requirements: {total}.", ""]
        out += ["| id | strength | requirement | for | state | evidence, or why not |", "| --- | --- | --- | --- | --- | --- |"]
        out += [*rows, ""]
    return "\n".join([HEAD, *out]), wrong


HEAD = """# Requirements

Written by `conformance/requirements/table.py`; what it knows stands in `smart.tsv` and `g10.tsv` there. Evidence is the name
of a test, of a check of `conformance/requirements/checks`, of a row of `conformance/run`, or the number of an attack that
has a row in the tests. The texts are those of Inferno's test kits (Apache-2.0), cut.
"""


def main():
    made, wrong = table(Path(sys.argv[-1]))
    if wrong:
        sys.exit("\n".join(wrong))
    if "--check" in sys.argv:
        if not TABLE.exists() or TABLE.read_text(encoding="utf-8") != made:
            sys.exit("conformance/REQUIREMENTS.md differs: run conformance/requirements/table.py")
    else:
        TABLE.write_text(made, encoding="utf-8")
    print(" ".join(re.findall(r"^\d+ requirements: [^.]*\.", made, re.M)))


main()
