#!/usr/bin/env python3
"""What must not be in the tree: secrets, machine paths, files without a purpose line, lines that are too long."""
import pathlib
import re
import subprocess
import sys

SECRET = re.compile(
    r"sk-ant-(?:oat|api)\d\d-[A-Za-z0-9_-]{40,}|sk-proj-[A-Za-z0-9_-]{40,}|ya29\.[A-Za-z0-9_-]{60,}|AIza[A-Za-z0-9_-]{35}"
    r"|-----BEGIN (?:EC |RSA )?PRIVATE KEY-----\n[A-Za-z0-9+/]{40}"
)
MACHINE = re.compile(r"/(?:root|home/(?!user/|you/|alice/|bob/|USER/)[a-z]+)/")
SOURCE = (".cpp", ".hpp")
COLUMNS_MAX = 120
LINES_MAX = 600


def problems(root):
    tracked = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.split("\n")
    for path in filter(None, tracked):
        file = root / path
        if not file.is_file():
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture, a fuzz seed
        if SECRET.search(text):
            yield f"{path}: looks like a real secret"
        if not path.startswith("tests/tidy/") and MACHINE.search(text):
            yield f"{path}: names a path of one machine"
        if path.endswith(SOURCE) and not path.startswith("tests/"):
            if path.endswith(".hpp") and not text.startswith("///") and "provider_list" not in path:
                yield f"{path}: a header opens with a /// paragraph: what it is, who uses it"
            lines = text.split("\n")
            if len(lines) > LINES_MAX:
                yield f"{path}: {len(lines)} lines; does it still hold one idea?"
            for number, line in enumerate(lines, 1):
                if len(line) > COLUMNS_MAX and "http" not in line:
                    yield f"{path}:{number}: {len(line)} columns"


if __name__ == "__main__":
    found = list(problems(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "text: ok")
    sys.exit(1 if found else 0)
