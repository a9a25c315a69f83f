#!/usr/bin/env python3
"""Who may include whom (docs/architecture.md): the table is data, a violation names file, line and rule."""
import pathlib
import re
import sys

ROLES = {"worker", "refresher", "admin_ui", "supervisor"}

# folder -> our folders it may include (itself always)
MAY_INCLUDE = {
    "shared/base": set(),
    "shared/boost": set(),
    "shared/http": {"shared/base"},
    "shared/segment": {"shared/base"},
    "shared/providers": {"shared/base", "shared/http", "shared/users"},
    "shared/selection": {"shared/base", "shared/http", "shared/providers", "shared/segment"},
    "shared/simulation": {"shared/base", "shared/http", "shared/providers", "shared/segment", "shared/selection"},
    "shared/config": {"shared/base", "shared/http", "shared/providers", "shared/selection"},
    "shared/evidence": {"shared/base", "shared/http", "shared/providers", "shared/segment"},
    "shared/users": {"shared/base", "shared/http"},
    "shared/ipc": {"shared/base"},
    "shared/net": {"shared/base", "shared/boost", "shared/http"},
    "shared/fake_providers": {"shared/base", "shared/http", "shared/net"},
}
SHARED = set(MAY_INCLUDE)
for role in ROLES:
    MAY_INCLUDE[role] = set(SHARED)
# The owner's commands: they ask a running pool as the supervisor's own commands do, and look at its data folder.
MAY_INCLUDE["supervisor/shell"] = SHARED | {"supervisor"}
MAIN = {"supervisor/main.cpp", "supervisor/options.hpp"}  # the places that know every role and command

# library -> files (or folders ending in '/') that may include it
ONLY_IN = {
    r"CLI/": ["supervisor/options.cpp"],
    r"toml": ["shared/config/"],
    r"spdlog/": ["shared/base/log.cpp"],
    r"sqlite3\.h": ["supervisor/", "admin_ui/"],
    r"boost/beast/websocket": ["shared/fake_providers/"],
    r"boost/beast": ["shared/boost/", "shared/net/http_client.cpp", "admin_ui/", "shared/fake_providers/"],
    r"boost/asio": ["shared/boost/", "shared/net/", "shared/ipc/", "shared/fake_providers/", "worker/", "refresher/", "admin_ui/", "supervisor/"],
}
# heavy libraries that no header may include
NOT_IN_HEADERS = [r"nlohmann/json\.hpp", r"boost/beast", r"toml", r"CLI/", r"spdlog/", r"sqlite3\.h"]
# callers never ask which vendor they have
NAMES_A_PROVIDER = re.compile(r"ProviderId::(codex|claude|gemini)|\b(codex|claude|gemini)_provider\b")
NEUTRAL = ["worker/", "refresher/", "supervisor/", "admin_ui/"]

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)')


def folder_of(path):
    parts = path.split("/")
    nested = parts[0] == "shared" or parts[:2] == ["supervisor", "shell"]
    return "/".join(parts[:2]) if nested else parts[0]


def problems(root):
    for file in sorted(root.glob("**/*.[ch]pp")):
        path = file.relative_to(root).as_posix()
        folder = folder_of(path)
        if folder not in MAY_INCLUDE:
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            where = f"{path}:{number}"
            if any(path.startswith(n) for n in NEUTRAL) and NAMES_A_PROVIDER.search(line.split("//")[0]):
                yield f"{where}: names a provider; ask the Provider interface instead"
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match.group(2)
            if match.group(1) == '"' and "/" in target:
                other = folder_of(target)
                allowed = MAY_INCLUDE[folder] | {folder}
                if path not in MAIN and other in MAY_INCLUDE and other not in allowed:
                    yield f"{where}: {folder} may not include {other}"
            for library, places in ONLY_IN.items():
                if re.match(library, target) and not any(path.startswith(p) for p in places):
                    yield f"{where}: {target} belongs into {', '.join(places)} only"
            if path.endswith(".hpp") and any(re.match(h, target) for h in NOT_IN_HEADERS):
                yield f"{where}: {target} is too heavy for a header"


if __name__ == "__main__":
    found = list(problems(pathlib.Path(sys.argv[1])))
    print("\n".join(found) or "layers: ok")
    sys.exit(1 if found else 0)
