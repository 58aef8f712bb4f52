"""Makes the *.safetensors beside this file: what PyTorch computes for recurrent layers.

    python make.py        needs torch (made with 2.15, CPU, f64, rounded once to f32)

Each file holds, for one layer of 5 inputs and 6 units (`lstm2` has two such layers) run over 7 steps
of 3 sequences from zero states:

    x                [7, 3, 5]
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, and the same of _l1    as PyTorch has them
    y                [7, 3, 6]    the output of every step
    h_n, c_n         [layers, 3, 6]    the states after the last step (c_n: LSTM)
    loss             []    the mean of y^2
    d.<weight>       the gradient of the loss, in the weight's shape

Lengths are all 7: PyTorch's packed sequences are another matter.

Three whole modules are kept as two files each: `<name>.state.safetensors` is the state dict as
`safetensors.torch.save_file` writes it, `<name>.safetensors` what the module computes:

    embed_lstm        x [7, 3] whole numbers below 11, y [7, 3, 5]    Embedding, LSTM of 2 layers, Linear
    both_gru          x [7, 3, 5], y [7, 3, 4]    bidirectional GRU of 2 layers, Linear without bias
    rnn_norm          x [7, 3, 5], y [7, 3, 2]    RNN, LayerNorm, Linear, as a Sequential numbers them
"""

import json
import struct
from pathlib import Path

import torch


def save(path, tensors):
    """Writes the safetensors format: a length, a JSON table, the bytes."""
    table, data = {}, b""
    for name, t in tensors.items():
        values = t.detach().to(torch.float32).contiguous().numpy().tobytes()
        table[name] = {
            "dtype": "F32",
            "shape": list(t.shape),
            "data_offsets": [len(data), len(data) + len(values)],
        }
        data += values
    head = json.dumps(table).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + data)


def make(name, layer):
    layer = layer.to(torch.float64)
    with torch.no_grad():
        for p in layer.parameters():
            # Larger than the default, so that gates saturate a little; exact in f32.
            p.copy_((torch.randn(p.shape) * 0.5).to(torch.float64))
    x = torch.randn(7, 3, 5).to(torch.float64)
    y, state = layer(x)
    loss = (y**2).mean()
    loss.backward()
    out = {"x": x, "y": y, "loss": loss}
    if isinstance(state, tuple):
        out["h_n"], out["c_n"] = state
    else:
        out["h_n"] = state
    for path, p in layer.named_parameters():
        out[path] = p
        out["d." + path] = p.grad
    save(Path(__file__).parent / f"{name}.safetensors", out)


torch.manual_seed(1)
make("rnn", torch.nn.RNN(5, 6))
make("lstm", torch.nn.LSTM(5, 6))
make("gru", torch.nn.GRU(5, 6))
make("lstm2", torch.nn.LSTM(5, 6, num_layers=2))


class Module(torch.nn.Module):
    """Layers by name, one after the other; of a recurrent one the output goes on."""

    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
            x = x[0] if isinstance(x, tuple) else x
        return x


def whole(name, module, x):
    module = module.to(torch.float64)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_((torch.randn(p.shape) * 0.5).to(torch.float64))
        y = module(x)
    folder = Path(__file__).parent
    save(folder / f"{name}.safetensors", {"x": x, "y": y})
    state = module.state_dict()
    save(folder / f"{name}.state.safetensors", {k: state[k] for k in sorted(state)})


nn = torch.nn
whole(
    "embed_lstm",
    Module(words=nn.Embedding(11, 4), rnn=nn.LSTM(4, 6, num_layers=2), out=nn.Linear(6, 5)),
    torch.randint(0, 11, (7, 3)),
)
whole(
    "both_gru",
    Module(gru=nn.GRU(5, 3, num_layers=2, bidirectional=True), out=nn.Linear(6, 4, bias=False)),
    torch.randn(7, 3, 5).to(torch.float64),
)
numbered = {"0": nn.RNN(5, 6), "1": nn.LayerNorm(6), "2": nn.Linear(6, 2)}
whole("rnn_norm", Module(**numbered), torch.randn(7, 3, 5).to(torch.float64))
