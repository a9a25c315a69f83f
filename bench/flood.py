#!/usr/bin/env python3
"""One user floods the pool: how much longer do the others wait?

  bench/flood.py CODEX_POOL FAKE_UPSTREAMS [SECONDS]      default 60 for each of the two halves

The real pool with four accounts of three places each. Five users with four clients each, which ask again as soon as they
are answered: more than the places, so that everybody waits a little. Then the same with a sixth user's 50 clients. What
is compared is the waiting for a place, as the pool itself says it in Server-Timing; the ratio is of one run.
"""
import concurrent.futures
import http.client
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

USERS, CLIENTS, FLOOD = 5, 4, 50


def start(command, folder, log):
    return subprocess.Popen(command, cwd=folder, stdout=open(folder / log, "w"), stderr=subprocess.STDOUT)


def wait_for(found, what):
    for _ in range(300):
        value = found()
        if value:
            return value
        time.sleep(0.1)
    sys.exit(f"gave up waiting for {what}")


class Pool:
    def __init__(self, program, fake, folder):
        self.program, self.folder = program, folder
        self.processes = [start([fake, folder, "codex_key=4", "--interval=10", "--deltas=20"], folder, "fake.log")]
        wait_for(lambda: (folder / "upstream.toml").exists() and (folder / "url").exists(), "the fake provider")
        for file in (folder / "pool").iterdir():
            credential = json.loads(file.read_text())
            credential["codex_pool"] = {"max_concurrency": 3}
            file.write_text(json.dumps(credential))
        (folder / "pool").chmod(0o700)
        (folder / "config.toml").write_text(
            'listen_addr = "127.0.0.1:0"\nworkers = 2\nfriend_code = "any"\nadmin_token = "only-for-this-run"\n'
            "queue_timeout_seconds = 300\n" + (folder / "upstream.toml").read_text())
        self.processes.append(start([program, "run", "--config", "config.toml"], folder, "pool.log"))
        ready = lambda: re.search(r"ready: .*", (folder / "pool.log").read_text())
        wait_for(ready, "the pool")
        address = re.search(r"listening on http://([0-9.]+):(\d+)", (folder / "pool.log").read_text())
        self.host, self.port = address[1], int(address[2])

    def user(self, name):
        """A new pool user's access token."""
        made = subprocess.run(
            [self.program, "users", "add", "--name", name, "--json", "--config", "config.toml"],
            cwd=self.folder, check=True, capture_output=True)
        link = json.loads(made.stdout)["setup"]["codex"]["token"]
        connection = http.client.HTTPConnection(self.host, self.port)
        connection.request("GET", f"/config/codex/{link}")
        return json.loads(connection.getresponse().read())["tokens"]["access_token"]

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()


def client(pool, token, name, over, waits):
    """Conversations of one turn each, one after the other."""
    connection = http.client.HTTPConnection(pool.host, pool.port, timeout=600)
    number = 0
    while not over.is_set():
        number += 1
        body = json.dumps({"model": "gpt-5.4", "stream": True, "input": [{"role": "user", "content": f"{name} {number}"}]})
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "session-id": f"{name}-{number}"}
        connection.request("POST", "/v1/responses", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"{name}: {answer.status}")
        waits.append(float(re.search(r"queue;dur=([0-9.]+)", answer.headers["Server-Timing"])[1]))


def run(pool, tokens, flood, seconds):
    """Waiting times in ms: of the others, and of the flood."""
    over, others, flooding = threading.Event(), [], []
    with concurrent.futures.ThreadPoolExecutor(100) as threads:
        started = []
        for i, token in enumerate(tokens):
            for each in range(CLIENTS):
                started.append(threads.submit(client, pool, token, f"{flood is not None}-{i}-{each}", over, others))
        for each in range(FLOOD if flood else 0):
            started.append(threads.submit(client, pool, flood, f"flood-{each}", over, flooding))
        time.sleep(seconds)
        over.set()
        for each in started:
            each.result()
    return sorted(others), sorted(flooding)


def main():
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 60
    program, fake = (pathlib.Path(each).resolve() for each in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        pool = Pool(program, fake, pathlib.Path(folder))
        try:
            tokens = [pool.user(f"user {i}") for i in range(USERS)]
            without, _ = run(pool, tokens, None, seconds)
            with_flood, flooding = run(pool, tokens, pool.user("flood"), seconds)
        finally:
            pool.stop()
    at = lambda waits, share: waits[int((len(waits) - 1) * share)]
    print(f"{'waiting for a place, ms':28} {'requests':>9} {'p50':>8} {'p99':>8} {'longest':>8}")
    for name, waits in (("others, alone", without), ("others, beside the flood", with_flood), ("the flood", flooding)):
        print(f"{name:28} {len(waits):9} {at(waits, 0.5):8.0f} {at(waits, 0.99):8.0f} {waits[-1]:8.0f}")
    ratio = at(with_flood, 0.99) / at(without, 0.99)
    print(f"p99 of the others: {ratio:.2f} times what it is without the flood (at most 2)")
    return 0 if ratio <= 2 else 1


if __name__ == "__main__":
    sys.exit(main())
