#!/usr/bin/env python3
"""Every command and option of `codex-pool --help` is in the manual page, and the completions of three shells offer it.

check_help.py ROOT PROGRAM; a shell that is not installed is left out.
"""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time


def help_of(program, *command):
    text = subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=True).stdout
    part, commands, options = "", set(), set()
    for line in text.split("\n"):
        if re.match(r"\S", line):
            part = line
        elif part == "Subcommands:" and (match := re.match(r"  ([a-z][a-z-]*)", line)):
            commands.add(match.group(1))
        elif part == "Options:" and line.startswith("  -"):
            options.update(name.split("{")[0] for name in line.split()[0].split(","))
    return commands, options


def manual(root):
    """The commands and options that the manual page describes."""
    text = (root / "docs/man/codex-pool.1.in").read_text().replace("\\-", "-")
    section = text.split(".SH COMMANDS")[1].split(".SH ")[0]
    commands = {name.strip() for name in re.findall(r"^\.TP\n\.BI? \"?([a-z][a-z -]*)", section, re.M)}
    described = re.findall(r"^\.TP\n\.B[RI]? (.*)", text, re.M)
    options = {name for line in described for name in re.findall(r"(?<![a-z-])--?[a-zA-Z][a-z-]*", line)}
    return commands, options


def bash(root, folder, words):
    script = """
        source "$1/etc/completions/codex-pool.bash"; shift
        compopt() { :; }
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _codex_pool; printf '%s\\n' "${COMPREPLY[@]}"
    """
    return run(["bash", "-c", script, "bash", str(root), *words], folder)


def fish(root, folder, words):
    line = " ".join(words)
    script = f"source {root}/etc/completions/codex-pool.fish; complete --do-complete '{line}'"
    return {name.split("\t")[0] for name in run(["fish", "--no-config", "-c", script], folder)}


def zsh(root, folder, words, expected):
    """Types into a zsh and reads its screen until all that is expected is there."""
    pid, terminal = pty.fork()
    if pid == 0:
        environment = dict(os.environ, PATH=path_with(folder), TERM="xterm", HOME=str(folder), COLUMNS="200", LINES="100")
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment)
    screen = ""
    try:
        setup = f"fpath=({root}/etc/completions $fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=0; stty cols 200 rows 100\n"
        os.write(terminal, setup.encode() + b"echo re''ady\n")
        deadline, typed = time.monotonic() + 30, False
        while time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                screen += os.read(terminal, 65536).decode(errors="replace")
            if not typed and "ready" in screen:
                screen, typed = "", True
                os.write(terminal, (" ".join(words) + "\t").encode())
            offered = set(re.findall(r"(?:(?<=\s)|^)-{0,2}[a-z][a-z-]*", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", " ", screen)))
            if typed and expected <= offered:
                return expected
        return offered
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


def path_with(folder):
    return f"{folder}:{os.environ['PATH']}"


def run(command, folder):
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=dict(os.environ, PATH=path_with(folder), HOME=str(folder)))
    return {line.strip() for line in done.stdout.split("\n") if line.strip()} | {f"({e})" for e in done.stderr.split("\n") if e}


def problems(root, program):
    commands, options = help_of(program)
    # command -> the commands below it, its own options
    everything = {command: help_of(program, command) for command in commands}
    for command in commands:
        for below in everything[command][0]:
            everything[f"{command} {below}"] = help_of(program, command, below)
    all_options = options.union(*(own for _, own in everything.values()))
    described_commands, described_options = manual(root)
    for what, there, described in [("command", set(everything), described_commands), ("option", all_options, described_options)]:
        for name in sorted(there - described):
            yield f"docs/man/codex-pool.1.in: {what} {name} is missing"
        for name in sorted(described - there):
            yield f"docs/man/codex-pool.1.in: there is no {what} {name}"

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "codex-pool").symlink_to(program)
        (folder / "a-folder").mkdir()
        long_options = {option for option in options if option.startswith("--")}
        questions = [(["codex-pool", ""], commands), (["codex-pool", "--"], long_options)]
        for command, (below, own) in sorted(everything.items()):
            questions.append((["codex-pool", *command.split(), "--"], long_options | {o for o in own if o.startswith("--")}))
            if below:
                questions.append((["codex-pool", *command.split(), ""], below))
        for words, expected in questions:
            asked = " ".join(words)
            for shell, ask in [("bash", bash), ("fish", fish)]:
                if shutil.which(shell) and (found := ask(root, folder, words)) != expected:
                    yield f"{shell}: `{asked}` offers {sorted(found)} instead of {sorted(expected)}"
        for words, expected in questions[:2] + [q for q in questions[2:] if q[0][-1] == ""]:  # a zsh takes its time to start
            if shutil.which("zsh") and not expected <= (found := zsh(root, folder, words, expected)):
                yield f"zsh: `{' '.join(words)}` offers {sorted(found)} instead of {sorted(expected)}"
        for shell, ask in [("bash", bash), ("fish", fish)]:
            if shutil.which(shell) and not {"a-folder", "a-folder/"} & ask(root, folder, ["codex-pool", "--pool-dir", "a-f"]):
                yield f"{shell}: --pool-dir does not offer folders"
            if shutil.which(shell) and not {"a-folder", "a-folder/"} & ask(root, folder, ["codex-pool", "backup", "a-f"]):
                yield f"{shell}: backup does not offer files"


if __name__ == "__main__":
    found = list(problems(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()))
    print("\n".join(found) or "help: ok")
    sys.exit(1 if found else 0)
