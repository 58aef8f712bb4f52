"""Whether seqc and PyTorch compute the same: from the same weights and inputs, loss and gradients of the training cases.

The loss is that of the programs in cases/: the mean over examples of the square of half the sum of squared outputs.
"""
import json
import struct

import numpy as np

import made

LOSS, GRADIENT = 1e-5, 1e-4     # relative; of a gradient to its greatest element


def read(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[slice(*t["data_offsets"])], np.float32).reshape(t["shape"])
            for name, t in header.items()}


def named(prefix, w, gates):
    """PyTorch's rows as matrices by gate, W of the input and U of the state; biases summed unless they differ."""
    out = {}
    for i, gate in enumerate(gates):
        rows = slice(i * len(w["w_ih"]) // len(gates), (i + 1) * len(w["w_ih"]) // len(gates))
        out[f"{prefix}.W{gate}"], out[f"{prefix}.U{gate}"] = w["w_ih"][rows], w["w_hh"][rows]
        out[f"{prefix}.b{gate}"] = w["b_ih"][rows] + w["b_hh"][rows]
        if gate == "n":
            out[f"{prefix}.bn"], out[f"{prefix}.cn"] = w["b_ih"][rows], w["b_hh"][rows]
    return out


def ours(family, weights):
    """Weights (or gradients) by the paths of the program."""
    w = weights[0]
    if family == "lstm":
        return named("lstm", w, "ifgo")
    if family == "bilstm":
        return named("lstm", w, "ifgo") | named("lstm_reverse", weights[1], "ifgo")
    if family == "gru":
        return named("gru", w, "rzn")
    if family == "rnn":
        return {"rnn.Wx": w["w_ih"], "rnn.Wh": w["w_hh"], "rnn.b": w["b_ih"] + w["b_hh"]}
    own = {f"own.{k}": w[v] for k, v in (("pf", "p_f"), ("po", "p_o"), ("layernorm.g", "scale"),
                                         ("layernorm.b", "shift"))}
    return named("own", w, "fgo") | own


def theirs(case):
    """Loss and gradients of PyTorch, with the names of made.py. Where two biases are summed both have the gradient of
    the sum; it is halved, so that their sum is that again."""
    import torch
    import torch_worker
    x = torch_worker.time_first(case)
    if case.family == "custom":
        weights = [torch_worker.parameters(made.custom(case.sizes))]
        arguments = [weights[0][k] for k in torch_worker.CUSTOM]
        each = [torch_worker.own_cell(x[:, b:b + 1], *arguments) for b in range(x.shape[1])]
        loss = torch.stack(each).square().mean()
        loss.backward()
        grads = [{k: v.grad.numpy() for k, v in weights[0].items()}]
    else:
        module = torch_worker.library_layer(case)
        h = module(x)[0]
        loss = (0.5 * h.square().sum((0, 2))).square().mean()
        loss.backward()
        grads = []
        for suffix in ("", "_reverse")[:2 if case.family == "bilstm" else 1]:
            names = (("w_ih", "weight_ih"), ("w_hh", "weight_hh"), ("b_ih", "bias_ih"), ("b_hh", "bias_hh"))
            grads.append({k: getattr(module, f"{n}_l0{suffix}").grad.numpy() for k, n in names})
    for g in grads:
        n = len(g["b_ih"]) // 3
        # The GRU's third gate has two biases that differ.
        summed = slice(0, 2 * n) if case.family == "gru" else slice(None)
        for k in ("b_ih", "b_hh"):
            g[k] = g[k].copy()
            g[k][summed] /= 2
    return loss.item(), grads


def main(programs, chosen):
    wrong = 0
    for case in chosen:
        if case.kind != "train" or case.family == "charlstm":
            continue
        weights = [made.custom(case.sizes)] if case.family == "custom" else made.layers(case.family, case.sizes)
        folder = programs.of(case)
        made.save(folder / "weights.safetensors", ours(case.family, weights))
        out = programs.run(case, "eval", "case.seq", "--weights", "weights.safetensors", "--on", "train", "--grads",
                           "grads.safetensors", "--json")
        loss, grads = theirs(case)
        apart = abs(json.loads(out)["train.loss"] / loss - 1)
        have, want = read(folder / "grads.safetensors"), ours(case.family, grads)
        each = {k: np.abs(have[k] - w).max() / np.abs(w).max() for k, w in want.items()}
        worst = max(each, key=each.get)
        good = apart <= LOSS and each[worst] <= GRADIENT
        wrong += not good
        print(f"{case.name}: loss {loss:.6g}, apart by {apart:.1e}; gradients by at most {each[worst]:.1e} ({worst})"
              f"{'' if good else '  WRONG'}", flush=True)
    return 1 if wrong else 0
