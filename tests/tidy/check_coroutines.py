#!/usr/bin/env python3
"""Rejects full-expressions that g++ 12 miscompiles (double free) when they contain co_await.

  1. Type{...} with a braced temporary      -> name it first: auto x = Type{...}; co_await f(std::move(x));
  2. a lambda that captures by value        -> name the lambda first, std::move it in
  3. a ?: that yields a class object        -> use if/else
"""
import re
import sys

RULES = [
    ("braced temporary", re.compile(r"co_await[^;]*\b(?:[a-z_]+::)*[A-Z]\w*(?:<[^;{}]*>)?\s*\{|co_await[^;]*\bstd::\w+(?:<[^;{}]*>)?\{")),
    ("value-capturing lambda", re.compile(r"co_await[^;]*\[(?!\s*[\]&])[^\]]+\]\s*(?:\(|\{|mutable)|\[(?!\s*[\]&])[^\]]+\]\s*(?:\(|\{|mutable)[^;]*co_await")),
    ("conditional operator", re.compile(r"co_await[^;]*\?[^;]*:[^;:]|\?[^;]*co_await")),
]

def problems(text):
    text = re.sub(r'"(?:\\.|[^"\\])*"', '""', re.sub(r"//[^\n]*", "", text))
    for number, line in enumerate(text.split("\n"), 1):
        if "co_await" in line:
            for name, rule in RULES:
                if rule.search(line):
                    yield number, name

if __name__ == "__main__":
    bad = 0
    for path in sys.argv[1:]:
        for number, name in problems(open(path, encoding="utf-8").read()):
            print(f"{path}:{number}: {name} in an expression with co_await (see tests/tidy/check_coroutines.py)")
            bad += 1
    sys.exit(1 if bad else 0)
