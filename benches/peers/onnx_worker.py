"""ONNX Runtime: the LSTM operator, forward only, in a model that is built here."""
import worker  # first: it sets the number of threads

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import made


def gates(a):
    """PyTorch's order i, f, g, o as the operator's i, o, f, c."""
    i, f, g, o = np.split(a, 4)
    return np.concatenate([i, o, f, g])


def model(w, x):
    steps, batch, _ = x.shape
    hid = w["w_hh"].shape[1]
    bias = np.concatenate([gates(w["b_ih"]), gates(w["b_hh"])])
    constants = {"W": gates(w["w_ih"])[None], "R": gates(w["w_hh"])[None], "B": bias[None]}
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["X", *constants], ["Y"], hidden_size=hid)], "layer",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, (steps, 1, batch, hid))],
        [numpy_helper.from_array(a, name) for name, a in constants.items()])
    made_ = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    onnx.checker.check_model(made_)
    return made_.SerializeToString()


def build(case, peer, threads):
    weights, = made.layers(case.family, case.sizes)
    x = np.ascontiguousarray(made.inputs(case.sizes).transpose(1, 0, 2))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model(weights, x), options, providers=["CPUExecutionProvider"])

    def infer():
        y, = session.run(["Y"], {"X": x})
        return float(np.square(y).sum())
    return infer


if __name__ == "__main__":
    worker.serve(build)
