#!/usr/bin/env python3
"""What etc/prometheus and etc/grafana ask for is what /metrics says: names and labels."""
import itertools
import json
import pathlib
import re
import sys

NAME = re.compile(r"\bcodexpool_[a-z_]+")
# metric{label="value",...}
SELECTOR = re.compile(r"\b(codexpool_[a-z_]+)\{([^}]*)\}")
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
BY = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
OF_PROMETHEUS = {"instance", "job"}


def exposed(root):
    """Name of each metric with the labels of its samples, as admin_ui/metrics.cpp writes them."""
    found, name = {}, None
    text = (root / "admin_ui/metrics.cpp").read_text()
    for match in re.finditer(r'"(codexpool_[a-z_]+)"|out\.sample\(|\{"([a-z_]+)",|\{\{"([a-z_]+)",', text):
        if match.group(1):
            name = match.group(1)
            found[name] = set()
        elif name and (label := match.group(2) or match.group(3)):
            found[name].add(label)
    for name in re.findall(r'histogram\(\s*"(codexpool_[a-z_]+)"', text):
        del found[name]
        found.update({name + "_bucket": {"le"}, name + "_sum": set(), name + "_count": set()})
    return found


def expressions(root):
    """(place, expression) of every alert and panel."""
    alerts = root / "etc/prometheus/alerts.yml"
    lines = alerts.read_text().split("\n")
    for number, line in enumerate(lines, 1):
        if (match := re.match(r"( +)expr: *(.*)", line)):
            text = match.group(2)
            if text == "|":
                indent = match.group(1) + " "
                text = " ".join(itertools.takewhile(lambda following: following.startswith(indent), lines[number:]))
            yield f"{alerts.relative_to(root)}:{number}", text
    board = root / "etc/grafana/codex-pool.json"
    dashboard = json.loads(board.read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"{board.relative_to(root)}: {panel['title']}", target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield f"{board.relative_to(root)}: ${variable['name']}", variable["definition"]


def problems(root):
    metrics = exposed(root)
    if len(metrics) < 10:
        yield "admin_ui/metrics.cpp: hardly any metric was found; has its form changed?"
    conditions = "\n".join(file.read_text() for file in (root / "shared/segment").glob("*.cpp"))
    for place, expression in expressions(root):
        names = set(NAME.findall(expression))
        for name in sorted(names - set(metrics)):
            yield f"{place}: there is no metric {name}"
        for name, selector in SELECTOR.findall(expression):
            for label in sorted(set(LABEL.findall(selector)) - metrics.get(name, set()) - OF_PROMETHEUS):
                yield f"{place}: {name} has no label {label}"
        for values in re.findall(r'condition[=~!]+"([^"]*)"', expression):
            for value in values.split("|"):
                if f'"{value}"' not in conditions:
                    yield f"{place}: no account is ever {value}"
        labels = OF_PROMETHEUS.union(*(metrics.get(name, set()) for name in names))
        for group in BY.findall(expression):
            for label in sorted({label.strip() for label in group.split(",")} - labels):
                yield f"{place}: nothing here has a label {label}"


if __name__ == "__main__":
    found = list(problems(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "metrics: ok")
    sys.exit(1 if found else 0)
