"""Inputs and weights that every framework starts from, drawn with numpy from fixed seeds.

Weights are in PyTorch's layout: of a layer `w_ih` [gates*H, I], `w_hh` [gates*H, H], `b_ih` and `b_hh` [gates*H].
"""
import json
import string
import struct

import numpy as np

from cases import GATES, VOCABULARY


def inputs(sizes):
    """x [B, T, I], standard normal."""
    rng = np.random.default_rng(1)
    return rng.standard_normal((sizes["B"], sizes["T"], sizes["I"]), dtype=np.float32)


def layer(rng, gates, inp, hid):
    bound = hid ** -0.5

    def draw(*shape):
        return rng.uniform(-bound, bound, shape).astype(np.float32)
    return {"w_ih": draw(gates * hid, inp), "w_hh": draw(gates * hid, hid),
            "b_ih": draw(gates * hid), "b_hh": draw(gates * hid)}


def layers(family, sizes):
    """The weights of one layer; of a bidirectional one, of both directions."""
    rng = np.random.default_rng(2)
    n = 2 if family == "bilstm" else 1
    return [layer(rng, GATES[family], sizes["I"], sizes["H"]) for _ in range(n)]


def custom(sizes):
    """Rows f, g, o of each matrix; peepholes; scale and shift of the normalisation."""
    rng = np.random.default_rng(2)
    hid = sizes["H"]
    w = layer(rng, 3, sizes["I"], hid)
    w["p_f"], w["p_o"] = (rng.uniform(-0.1, 0.1, hid).astype(np.float32) for _ in range(2))
    w["scale"], w["shift"] = np.ones(hid, np.float32), np.zeros(hid, np.float32)
    return w


def char_rnn(sizes):
    rng = np.random.default_rng(2)
    hid, v = sizes["H"], sizes["V"]
    bound = hid ** -0.5
    return {"layers": [layer(rng, 4, v, hid), layer(rng, 4, hid, hid)],
            "w_o": rng.uniform(-bound, bound, (v, hid)).astype(np.float32),
            "b_o": np.zeros(v, np.float32)}


def symbols(sizes):
    """The text as numbers: inputs and targets of one batch, [T, B] each."""
    rng = np.random.default_rng(3)
    t = rng.integers(0, sizes["V"], (sizes["T"] + 1, sizes["B"]))
    return t[:-1], t[1:]


def text(length):
    """Characters drawn from an alphabet of the vocabulary's size."""
    alphabet = np.array(list((string.ascii_letters + ".,;:!?'-&$3 \n")[:VOCABULARY]))
    return "".join(alphabet[np.random.default_rng(3).integers(0, VOCABULARY, length)])


def save(path, tensors):
    """A safetensors file: the header's length, the header, the numbers."""
    header, at = {}, 0
    for name, a in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text_ = json.dumps(header).encode()
    text_ += b" " * (-len(text_) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text_)) + text_)
        for a in tensors.values():
            f.write(np.ascontiguousarray(a, np.float32).tobytes())
