"""PyTorch: eager, scripted and compiled.

Layers of the library are nn.LSTM, nn.GRU and nn.RNN, time first; a cell of one's own is a loop over time with the
input's product outside it. The update is SGD's fused one.
"""
import worker  # first: it sets the number of threads

import torch
import torch.nn.functional as F

import made

RATE = 1e-7


def parameters(weights):
    return {k: torch.from_numpy(v.copy()).requires_grad_() for k, v in weights.items()}


def load(module, weights, number=0, suffix=""):
    with torch.no_grad():
        for ours, theirs in (("w_ih", "weight_ih"), ("w_hh", "weight_hh"), ("b_ih", "bias_ih"), ("b_hh", "bias_hh")):
            getattr(module, f"{theirs}_l{number}{suffix}").copy_(torch.from_numpy(weights[ours]))


def time_first(case):
    return torch.from_numpy(made.inputs(case.sizes)).transpose(0, 1).contiguous()


def library_layer(case):
    d = case.sizes
    kinds = {"lstm": torch.nn.LSTM, "bilstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}
    module = kinds[case.family](d["I"], d["H"], bidirectional=case.family == "bilstm")
    for weights, suffix in zip(made.layers(case.family, d), ("", "_reverse")):
        load(module, weights, 0, suffix)
    return module


def training(loss, optimizer, clip=lambda: None):
    def step():
        optimizer.zero_grad(set_to_none=True)
        value = loss()
        value.backward()
        clip()
        optimizer.step()
        return value.item()
    return step


def own_cell(x, w_ih, w_hh, b_ih, b_hh, p_f, p_o, scale, shift):
    """Half the sum of squares of the outputs of the cell in cases/custom.seq."""
    hid: int = w_hh.shape[1]
    h = torch.zeros(x.shape[1], hid)
    c = torch.zeros(x.shape[1], hid)
    outputs = []
    recurrent = w_hh.t()
    for z in (x @ w_ih.t() + (b_ih + b_hh)).unbind(0):
        z_f, z_g, z_o = torch.addmm(z, h, recurrent).chunk(3, 1)
        f = torch.sigmoid(z_f + p_f * c)
        g = torch.tanh(F.layer_norm(z_g, [hid], scale, shift, 1e-5))
        c = f * c + (1 - f) * g
        h = torch.sigmoid(z_o + p_o * c) * torch.tanh(c)
        outputs.append(h)
    return 0.5 * torch.stack(outputs).square().sum()


CUSTOM = ("w_ih", "w_hh", "b_ih", "b_hh", "p_f", "p_o", "scale", "shift")


def custom(case, peer):
    how = {"torch_eager": lambda f: f, "torch_script": torch.jit.script, "torch_compile": torch.compile}
    loss = how[peer](own_cell)
    weights = parameters(made.custom(case.sizes))
    arguments = [weights[k] for k in CUSTOM]
    x = time_first(case)
    return training(lambda: loss(x, *arguments), torch.optim.SGD(arguments, lr=RATE, fused=True))


class CharRNN(torch.nn.Module):
    def __init__(self, d):
        super().__init__()
        self.lstm = torch.nn.LSTM(d["V"], d["H"], d["L"])
        self.out = torch.nn.Linear(d["H"], d["V"])
        self.symbols = d["V"]
        weights = made.char_rnn(d)
        for i, one in enumerate(weights["layers"]):
            load(self.lstm, one, i)
        with torch.no_grad():
            self.out.weight.copy_(torch.from_numpy(weights["w_o"]))
            self.out.bias.copy_(torch.from_numpy(weights["b_o"]))

    def forward(self, index, state):
        y, state = self.lstm(F.one_hot(index, self.symbols).float(), state)
        return self.out(y), state


def char_training(case):
    d = case.sizes
    model = CharRNN(d)
    state = [torch.zeros(d["L"], d["B"], d["H"]) for _ in range(2)]
    x, y = (torch.from_numpy(a.copy()) for a in made.symbols(d))

    def loss():
        logits, after = model(x, tuple(state))
        state[:] = [s.detach() for s in after]
        return F.cross_entropy(logits.flatten(0, 1), y.flatten())
    optimizer = torch.optim.RMSprop(model.parameters(), lr=2e-3, alpha=0.95)
    return training(loss, optimizer, lambda: torch.nn.utils.clip_grad_value_(model.parameters(), 5.0))


def char_writing(case):
    d = case.sizes
    model = CharRNN(d)

    @torch.inference_mode()
    def write():
        torch.manual_seed(0)
        state = tuple(torch.zeros(d["L"], 1, d["H"]) for _ in range(2))
        index, total = torch.zeros(1, 1, dtype=torch.long), 0
        for _ in range(d["T"]):
            logits, state = model(index, state)
            index = torch.multinomial(torch.softmax(logits[0], -1), 1)
            total += int(index)
        return total
    return write


def build(case, peer, threads):
    torch.set_num_threads(threads)
    if case.family == "charlstm":
        return char_training(case) if case.kind == "train" else char_writing(case)
    if case.family == "custom":
        return custom(case, peer)
    module, x = library_layer(case), time_first(case)
    if case.kind == "infer":
        def infer():
            with torch.inference_mode():
                return module(x)[0].square().sum().item()
        return infer
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE, fused=True)
    return training(lambda: 0.5 * module(x)[0].square().sum(), optimizer)


if __name__ == "__main__":
    worker.serve(build)
