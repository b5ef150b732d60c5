#!/usr/bin/python3
"""Writes the tables of docs/api.md from the route table: routes_doc.py [--check]

The text between the two marker lines is replaced; what is around it is written by hand. With
--check nothing is written: exit status 1 when the file is not what it would become.
"""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
DOC = TOP / "docs/api.md"
BEGIN, END = "<!-- made by runtime/api/routes_doc.py -->", "<!-- end -->"
API_MINOR_MIN = 24
ROUTE = re.compile(r'\{"(\w+)", "([^"]+)", (\w+), (\d+)\}')


def routes():
    """[(method, path, whether it is served, first API version)] in the order of the table."""
    text = (TOP / "runtime/api/routes.c").read_text(encoding="utf-8")
    found = [(m[1], m[2].replace("*", ""), m[3] != "NULL", int(m[4])) for m in ROUTE.finditer(text)]
    if len(found) != len(re.findall(r"(?m)^\t\{", text)):
        raise SystemExit("routes_doc: runtime/api/routes.c has lines that are no routes")
    return found


def table(rows):
    lines = ["| | path | since |", "| --- | --- | --- |"]
    lines += [f"| {method} | `{path}` | 1.{max(since, API_MINOR_MIN)} |" for method, path, _, since in rows]
    return "\n".join(lines)


def made():
    every = routes()
    served, not_served = ([r for r in every if r[2] is is_served] for is_served in (True, False))
    return (
        f"## Served: {len(served)} of {len(every)}\n\n{table(served)}\n\n"
        f"## Known and not served\n\nEach answers 501 and says its own name.\n\n{table(not_served)}"
    )


def main(arguments):
    old = DOC.read_text(encoding="utf-8")
    head, rest = old.split(BEGIN)
    new = f"{head}{BEGIN}\n\n{made()}\n\n{END}{rest.split(END)[1]}"
    if arguments == ["--check"]:
        sys.exit(0 if new == old else "docs/api.md is not what the route table says: run runtime/api/routes_doc.py")
    DOC.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
