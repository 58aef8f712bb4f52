"""What is measured: each case's sizes, its program for seqc, and the arithmetic of its products.

A name says the sizes: B batch, T steps of time, I inputs, H hidden units. No framework is imported here.
"""
import re
from dataclasses import dataclass

GATES = {"lstm": 4, "gru": 3, "rnn": 1, "custom": 3, "bilstm": 4}
VOCABULARY = 65
WRITTEN = 1000          # characters of one run of charlstm_generate
COLD = "lstm_train_B32_T100_I128_H256"

NAMES = [
    *(f"lstm_infer_B{b}_T100_I128_H{h}" for h in (128, 512) for b in (1, 16, 64)),
    *(f"lstm_train_B{b}_T100_I128_H{h}" for h in (128, 256, 512) for b in (1, 32, 64)),
    "gru_train_B32_T100_I128_H256",
    "rnn_train_B32_T100_I128_H256",
    "custom_train_B32_T100_I128_H256",
    "custom_train_B1_T100_I64_H64",
    "custom_train_B8_T100_I64_H64",
    "bilstm_train_B32_T100_I128_H128",
    "charlstm_train_B50_T50_L2_H128_V65",
    "charlstm_generate",
    "cold_start",
]


@dataclass(frozen=True)
class Case:
    name: str

    @property
    def family(self):
        """`lstm`, `gru`, ...: also the name of the program in cases/."""
        return "lstm" if self.name == "cold_start" else self.name.split("_")[0]

    @property
    def kind(self):
        """`train`, `infer`, `generate` or `cold`."""
        return self.name.split("_")[1] if self.name != "cold_start" else "cold"

    @property
    def sizes(self):
        name = COLD if self.name == "cold_start" else self.name
        if self.name == "charlstm_generate":
            return {"B": 1, "T": WRITTEN, "L": 2, "H": 128, "V": VOCABULARY}
        return {k: int(v) for k, v in re.findall(r"_([A-Z])(\d+)", name)}

    @property
    def peers(self):
        if self.kind == "cold":
            return ["torch_eager", "jax"]
        if self.kind == "infer":
            return ["torch_eager", "jax", "onnxruntime"]
        if self.family == "custom":
            return ["torch_eager", "torch_script", "torch_compile", "jax"]
        return ["torch_eager", "jax"]

    @property
    def flops(self):
        """Two for each multiply-add that the equations ask for. A gradient costs as much as the product for each
        operand that needs one; that of the input is needed only where a layer lies below. To look up the row of a
        symbol is no product."""
        d = self.sizes
        if self.kind == "cold":
            return None
        train = self.kind == "train"
        if self.family == "charlstm":
            rows, h = d["B"] * d["T"], d["H"]
            recurrent = 2 * rows * 4 * h * h
            # Of each layer the recurrent product, of the second its input's, and the output layer.
            forward = 3 * recurrent + 2 * rows * h * d["V"]
            return forward * 3 if train else forward
        step = 2 * d["B"] * d["T"] * GATES[self.family] * d["H"]
        forward = step * (d["I"] + d["H"])
        all_ = forward + step * (d["I"] + 2 * d["H"]) if train else forward
        return all_ * (2 if self.family == "bilstm" else 1)


def chosen(names):
    """The cases with these names, or whose names begin so."""
    if not names:
        return [Case(n) for n in NAMES]
    found = [n for n in NAMES if any(n.startswith(part) for part in names)]
    unknown = [p for p in names if not any(n.startswith(p) for n in NAMES)]
    if unknown:
        raise SystemExit(f"no such case: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return [Case(n) for n in found]
