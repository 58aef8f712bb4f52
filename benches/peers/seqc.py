"""seqc's side: its programs at the sizes of a case, and its command."""
import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import cases
import made

CASES = Path(__file__).parent / "cases"
TEXT = 200_000          # characters


class Programs:
    """Cases made ready in a folder: a program and its data each."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.ready = str(Path(binary).resolve()), folder, {}

    def of(self, case):
        """The folder with `case.seq` at the case's sizes, and what it reads."""
        if case.name not in self.ready:
            folder = self.folder / case.name
            folder.mkdir()
            program = (CASES / f"{case.family}.seq").read_text()
            if case.family == "charlstm":
                (folder / "chars.txt").write_text(made.text(TEXT))
            else:
                d = case.sizes
                for pattern, value in ((r"dim H = \d+", f"dim H = {d['H']}"), (r"dim I = \d+", f"dim I = {d['I']}"),
                                       (r"batch     = \d+", f"batch     = {d['B']}")):
                    program, n = re.subn(pattern, value, program)
                    assert n == 1, f"{pattern} in {case.family}.seq"
                x = made.inputs(d)
                made.save(folder / "made.safetensors", {"x": x, "y": x[:, 0, 0] * 0})
            (folder / "case.seq").write_text(program)
            self.ready[case.name] = folder
        return self.ready[case.name]

    def run(self, case, *arguments):
        ran = subprocess.run([self.binary, *arguments], cwd=self.of(case), capture_output=True, text=True)
        if ran.returncode:
            raise SystemExit(f"seqc {' '.join(arguments)}:\n{ran.stderr}")
        return ran.stdout


def bench_json(programs, case, threads, seconds, flags):
    return json.loads(programs.run(case, "bench", "case.seq", "--json", "--brief", "--threads", str(threads), "--seconds",
                                   str(seconds), *flags))


def bench(programs, case, threads, seconds):
    """Seconds of one run, and the share of the roofline."""
    flags = {"infer": ["--infer"], "generate": ["--generate"]}.get(case.kind, [])
    found = bench_json(programs, case, threads, seconds, flags)
    if case.kind == "generate":
        one, times = found["generate"]["symbol"]["median"], cases.WRITTEN
    elif case.kind == "infer":
        one, times = found["infer"]["call"]["median"], 1
    else:
        one, times = found["train"]["step"]["median"], 1
    return {"seconds": one * times, "roofline_share": found[case.kind]["roofline_share"]}


def cold(programs, case, threads):
    """Seconds until the first step is told, and how much more the first takes than a later step of the same process."""
    folder = programs.of(case)
    shutil.rmtree(folder / "run", ignore_errors=True)
    command = [programs.binary, "train", "case.seq", "--threads", str(threads), "--out", "run", "--max-steps", "1",
               "--log-format", "json"]
    began, first = time.perf_counter(), None
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for text in process.stderr:
            if first is None and json.loads(text)["event"] == "step":
                first = time.perf_counter() - began
    if first is None:
        raise SystemExit(f"{' '.join(command)} took no step")
    found = bench_json(programs, case, threads, 0.2, [])["train"]
    return first, {"over_warm": found["first_step_ms"] / 1e3 - found["step"]["median"]}
