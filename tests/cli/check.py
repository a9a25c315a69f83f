#!/usr/bin/env python3
"""Compares what the fake upstreams say with what the pool says, after a real CLI has run.

check.py FOLDER POOL_URL FAKE_URL [turns=N] [accounts=A,B] [one-account] [coding=zstd] [websocket] [no-hashes]
Prints what is wrong and exits 1, or one line and exits 0.
"""
import json
import os
import sqlite3
import sys
import time
import urllib.request

folder, pool_url, fake_url = sys.argv[1:4]
options = dict((a.split("=", 1) + [""])[:2] for a in sys.argv[4:])
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
if "CODEX_POOL_OWNER" in os.environ:  # a shared pool's admin token
    opener.addheaders.append(("X-Admin-Token", os.environ["CODEX_POOL_OWNER"]))
problems = []


def get(url):
    return json.load(opener.open(url, timeout=20))


def add(totals, key, numbers):
    if any(numbers):
        totals[key] = tuple(a + b for a, b in zip(totals.get(key, (0,) * 5), numbers))


def short(name):
    """The fakes' name of an account: files of Claude and Gemini have their provider as prefix, its id has not."""
    provider, _, stem = name.partition(":")
    return stem if provider == "codex" else provider + "_" + stem


def said(ledger):
    totals = {}
    for row in ledger["totals"]:
        add(totals, (row["account"], row["model"]),
            (row["input"], row["cached"], row["cache_creation"], row["output"], row["reasoning"]))
    return totals


def admin():
    totals = {}
    for account in get(pool_url + "/admin/accounts"):
        for model in account["models"]:
            add(totals, (short(account["id"]), model["model"]),
                tuple(model["total_%s_tokens" % n] for n in ("input", "cached", "cache_creation", "output", "reasoning")))
    return totals


def database(table):
    totals = {}
    connection = sqlite3.connect("file:%s/data/proxy.db?mode=ro" % folder, uri=True)
    for row in connection.execute(
            "SELECT account, model, input_tokens, cached_input_tokens, cache_creation_tokens, output_tokens,"
            " reasoning_tokens FROM " + table):
        add(totals, (short(row[0]), row[1]), row[2:])
    connection.close()
    return totals


def differences():
    ledger = get(fake_url + "/_fake/ledger")
    wanted = said(ledger)
    found = {"/admin/accounts": admin(), "usage_hourly": database("usage_hourly"), "requests": database("requests")}
    return ledger, ["%s says %s, the upstreams say %s" % (name, totals, wanted)
                    for name, totals in found.items() if totals != wanted]


deadline = time.monotonic() + 15
while True:
    ledger, differing = differences()
    if not differing or time.monotonic() > deadline:
        break
    time.sleep(0.2)
problems += differing
problems += ["an upstream saw: " + v for v in ledger["violations"]]
problems += ["a conversation moved: " + m for m in ledger["moves"]]

turns = [e for e in ledger["exchanges"] if e["generates"]]
served = [e for e in turns if e["status"] == 200]
if "turns" in options and len(served) < int(options["turns"]):
    problems.append("only %d turns, not %s" % (len(served), options["turns"]))
accounts = sorted(set(e["account"] for e in served))
if "accounts" in options and not set(accounts) <= set(options["accounts"].split(",")):
    problems.append("served by " + ", ".join(accounts))
if "one-account" in options and len(accounts) != 1:
    problems.append("more than one account: " + ", ".join(accounts))
if "websocket" in options and not all(e["websocket"] for e in served):
    problems.append("not every turn came over a WebSocket")
if "coding" in options:
    wanted = ("content-encoding: " + options["coding"]).lower()
    if not any(wanted in [h.lower() for h in e["headers"]] for e in served):
        problems.append("no request body was coded with " + options["coding"])

if "no-hashes" not in options:
    # What the CLI sent and got, against what the upstreams got and sent: the same bytes, as often.
    tapped = {}
    for line in open(folder + "/tap/tap.log"):
        words = line.split()
        if words[0] == "websocket":
            continue
        tapped.setdefault((words[2], words[5]), 0)
        tapped[(words[2], words[5])] += 1
    for each in turns:
        if each["websocket"] or not each["complete"] or each["status"] != 200:
            continue
        key = (each["request_sha256"], each["response_sha256"])
        if tapped.get(key, 0) == 0:
            problems.append("%s %s: the bodies are not those at the client" % (each["method"], each["target"]))
        else:
            tapped[key] -= 1

for problem in problems:
    print("  " + problem)
if problems:
    sys.exit(1)
print("  %d turns by %s, %d tokens, %d bodies compared" % (
    len(served), ", ".join(accounts), sum(sum(t) for t in said(ledger).values()),
    0 if "no-hashes" in options else len([e for e in turns if not e["websocket"]])))
