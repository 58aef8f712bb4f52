"""Runs every contestant on every case, in turn, and says how they compare.

A case has a worker process for each peer, warm and waiting, and seqc's own command. They take turns at blocks of a
third of a second. A block in which other processes took more than QUIET processors is set aside, whatever its times;
where too few are left all count, and the row says so.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cases
import made
import seqc

HERE = Path(__file__).parent
WORKERS = {"jax": "jax_worker.py", "onnxruntime": "onnx_worker.py"}
QUIET = 0.15            # processors
BLOCK = 0.3             # seconds
ENOUGH = 3              # quiet blocks
PATIENCE = 3            # as many rounds as asked for, times this, while there are too few


def busy():
    """Seconds that all processors together have worked, or were taken by other machines."""
    with open("/proc/stat") as f:
        ticks = [int(x) for x in f.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


class Blocks:
    """The medians of a contestant's blocks."""

    def __init__(self):
        self.quiet, self.loud, self.extra = [], [], []

    def add(self, median, others, extra=None):
        (self.quiet if others <= QUIET else self.loud).append(median)
        self.extra.append(extra)

    @property
    def noisy(self):
        return len(self.quiet) < ENOUGH

    @property
    def median(self):
        return statistics.median(self.quiet + self.loud if self.noisy else self.quiet)


class Peer:
    """A worker process of a framework, warm."""

    def __init__(self, name, case, threads):
        script = HERE / WORKERS.get(name, "torch_worker.py")
        cache = HERE / ".cache"
        env = dict(os.environ, TORCHINDUCTOR_CACHE_DIR=str(cache), TRITON_CACHE_DIR=str(cache))
        self.process = subprocess.Popen([sys.executable, script, name, case.name, str(threads)], env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(map(str, self.process.args))}:\n{self.process.stderr.read()}")
        return json.loads(line)

    def block(self):
        before, began = busy(), time.perf_counter()
        self.process.stdin.write(f"{BLOCK}\n")
        self.process.stdin.flush()
        ran = self.answer()
        others = (busy() - before - ran["cpu"]) / (time.perf_counter() - began)
        return statistics.median(ran["seconds"]), others, None

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """seqc on the same case: a process a block."""

    def __init__(self, program, case, threads):
        self.program, self.case, self.threads = program, case, threads
        self.block()

    def block(self):
        before, own, began = busy(), os.times(), time.perf_counter()
        result = seqc.bench(self.program, self.case, self.threads, BLOCK)
        after = os.times()
        used = sum(getattr(after, k) - getattr(own, k) for k in ("children_user", "children_system"))
        others = (busy() - before - used) / (time.perf_counter() - began)
        return result["seconds"], others, result

    def end(self):
        pass


def contest(case, threads, rounds, program):
    """Blocks by contestant."""
    everyone = {"seqc": Ours(program, case, threads)}
    try:
        for name in case.peers:
            everyone[name] = Peer(name, case, threads)
        found = {name: Blocks() for name in everyone}
        for turn in range(rounds * PATIENCE):
            for name, one in everyone.items():
                # What still spins in the process before goes to sleep.
                time.sleep(0.05)
                found[name].add(*one.block())
            if turn + 1 >= rounds and not any(b.noisy for b in found.values()):
                break
    finally:
        for one in everyone.values():
            one.end()
    return found


def cold_peer(name, threads):
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    script = HERE / WORKERS.get(name, "torch_worker.py")
    ran = subprocess.run([sys.executable, script, name, "cold_start", str(threads)], check=True, capture_output=True)
    return json.loads(ran.stdout.splitlines()[-1])["done"] - began, None


def cold(case, threads, rounds, program):
    """From the start of a process to the end of its first step of training, with whatever comes before."""
    def measured(start):
        before, own, began = busy(), os.times(), time.perf_counter()
        seconds, extra = start()
        after = os.times()
        used = sum(getattr(after, k) - getattr(own, k) for k in ("children_user", "children_system"))
        return seconds, (busy() - before - used) / (time.perf_counter() - began), extra
    starts = {"seqc": lambda: seqc.cold(program, case, threads)}
    starts.update({name: (lambda n=name: cold_peer(n, threads)) for name in case.peers})
    found = {name: Blocks() for name in starts}
    for start in starts.values():
        start()         # once for the system's page cache
    for turn in range(rounds * PATIENCE):
        for name, start in starts.items():
            found[name].add(*measured(start))
        if turn + 1 >= rounds and not any(b.noisy for b in found.values()):
            break
    return found


def row(case, threads, found):
    ours, peers = found["seqc"], {n: b for n, b in found.items() if n != "seqc"}
    best = min(peers, key=lambda n: peers[n].median)
    shares = [e["roofline_share"] for e in ours.extra if e and e.get("roofline_share")]
    result = {
        "case": case.name, "threads": threads, "ours_s": ours.median,
        "best_peer": best, "best_s": peers[best].median, "ratio": peers[best].median / ours.median,
        "roofline_share": statistics.median(shares) if shares else None,
        "gflops": case.flops / ours.median / 1e9 if case.flops else None,
        "best_gflops": case.flops / peers[best].median / 1e9 if case.flops else None,
        "peers": {n: b.median for n, b in peers.items()},
        "set_aside": sum(0 if b.noisy else len(b.loud) for b in found.values()),
        "noisy": [n for n, b in found.items() if b.noisy],
        "load": os.getloadavg()[0],
    }
    if case.kind == "cold":
        result["over_warm_s"] = statistics.median(e["over_warm"] for e in ours.extra)
    return result


def shown(seconds):
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1:
            break
    return f"{seconds * scale:.3g} {unit}" if seconds * scale < 999.5 else f"{seconds * scale:.0f} {unit}"


HEAD = "| case | threads | seqc | GFLOP/s | of the roofline | best peer | its time | ratio |\n|---|---:|---:|---:|---:|---|---:|---:|"


def line(r):
    rate = f"{r['gflops']:.1f}" if r["gflops"] else ""
    share = f"{100 * r['roofline_share']:.0f}%" if r["roofline_share"] else ""
    mark = " (noisy)" if r["noisy"] else ""
    return (f"| {r['case']}{mark} | {r['threads']} | {shown(r['ours_s'])} | {rate} | {share} | {r['best_peer']} | "
            f"{shown(r['best_s'])} | {r['ratio']:.2f} |")


def main():
    p = argparse.ArgumentParser(prog="run")
    p.add_argument("--seqc", required=True, help=argparse.SUPPRESS)
    p.add_argument("--case", default="", help="names, or how they begin, parted by commas")
    p.add_argument("--threads", type=int, action="append", help="1 and 2 unless given")
    p.add_argument("--json", action="store_true", help="one object a case, on a line each")
    p.add_argument("--blocks", type=int, default=5, help="blocks of each contestant")
    p.add_argument("--check", action="store_true", help="compare what is computed, not how fast")
    a = p.parse_args()
    chosen = cases.chosen([c for c in a.case.split(",") if c])
    with tempfile.TemporaryDirectory(prefix="seqc-peers-") as folder:
        program = seqc.Programs(a.seqc, Path(folder))
        if a.check:
            import check
            raise SystemExit(check.main(program, chosen))
        if not a.json:
            print(HEAD, flush=True)
        for case in chosen:
            for threads in a.threads or [1, 2]:
                run = cold if case.kind == "cold" else contest
                r = row(case, threads, run(case, threads, a.blocks, program))
                print(json.dumps(r) if a.json else line(r), flush=True)


if __name__ == "__main__":
    main()
