"""What every worker process does: build one case, warm up, then run for as long as a line on stdin says.

    python torch_worker.py PEER CASE THREADS       prints {"ready": ...}, then for each line "0.3" one line
                                                   {"seconds": [...], "cpu": ...}
    python torch_worker.py PEER cold_start THREADS prints the clock after its first step and ends

Seconds are those of single runs, cpu what the process used during the block.
"""
import json
import os
import sys
import time

# Imported for what it builds alone, as check.py does, it has none of these.
PEER, CASE, THREADS = sys.argv[1:4] if sys.argv[0].endswith("_worker.py") else (None, None, 1)
# Read by the libraries when they are loaded.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC"):
    os.environ[name] = str(THREADS)

WARM_SECONDS, WARM_RUNS = 0.4, 20


def say(message):
    print(json.dumps(message), flush=True)


def serve(build):
    """`build(case, peer, threads)` gives a function that runs once and waits for its result, a number."""
    from cases import COLD, Case
    if CASE == "cold_start":
        build(Case(COLD), PEER, int(THREADS))()
        # The clock that the parent started by.
        say({"done": time.clock_gettime(time.CLOCK_MONOTONIC)})
        return
    step = build(Case(CASE), PEER, int(THREADS))
    began = time.perf_counter()
    result = step()
    first = time.perf_counter() - began
    began, runs = time.perf_counter(), 0
    while runs < 2 or (time.perf_counter() - began < WARM_SECONDS and runs < WARM_RUNS):
        step()
        runs += 1
    say({"ready": True, "first": first, "result": float(result)})
    for line in sys.stdin:
        seconds, cpu, began = [], time.process_time(), time.perf_counter()
        while not seconds or time.perf_counter() - began < float(line):
            t = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - t)
        say({"seconds": seconds, "cpu": time.process_time() - cpu})
