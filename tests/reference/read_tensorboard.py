"""Reads runs back with TensorBoard's own reader, and compares with what their logs say.

    python -m venv venv && venv/bin/pip install tensorboard
    venv/bin/python tests/reference/read_tensorboard.py runs/names-Latin ...

Every number of metrics.jsonl must be there once, under its tag and step, as the nearest f32, and
nothing else but the groups `usage` and `samples`. The same holds of a run that was killed and
resumed: what a session wrote after its last checkpoint is dropped by the next one's start. Last
checked with TensorBoard 2.21.0.
"""

import json
import struct
import sys
from collections import Counter
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def tag(key):
    return key.replace(".", "/", 1) if "." in key else f"train/{key}"


def wanted(run):
    points = Counter()
    for line in (run / "metrics.jsonl").read_text().splitlines():
        line = json.loads(line)
        step, _ = line.pop("step"), line.pop("epoch")
        points.update((tag(k), step, f32(v)) for k, v in line.items())
    return points


def read(run):
    # 0: keep all of them, where TensorBoard itself shows a sample.
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    points, usage = Counter(), 0
    for name in events.Tags()["scalars"]:
        for e in events.Scalars(name):
            if name.startswith("usage/"):
                usage += 1
            else:
                points[(name, e.step, f32(e.value))] += 1
    texts = 0
    for name in events.Tags()["tensors"]:
        plugin = events.SummaryMetadata(name).plugin_data.plugin_name
        assert (name, plugin) == ("samples", "text"), (name, plugin)
        texts += sum(len(e.tensor_proto.string_val) for e in events.Tensors(name))
    return points, usage, texts


def main():
    for run in map(Path, sys.argv[1:]):
        want, (got, usage, texts) = wanted(run), read(run)
        files = len(list(run.glob("events.out.tfevents.*")))
        missing, extra = want - got, got - want
        assert not missing, f"{run}: missing {list(missing)[:5]}"
        assert not extra, f"{run}: not in the log {list(extra)[:5]}"
        assert usage >= 4, f"{run}: no usage"
        print(f"{run}: {sum(got.values())} numbers, {texts} texts, {usage} of usage, {files} files")


main()
