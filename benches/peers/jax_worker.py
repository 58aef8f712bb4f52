"""JAX: lax.scan over time with the input's product outside it, one jitted function a step with donated weights."""
import worker  # first: it sets the number of threads

from functools import partial

import jax
import jax.numpy as jnp
import optax

import made

RATE = 1e-7
tree = jax.tree_util.tree_map


def lstm(w, z, state):
    """z [T, B, 4H] is the input's product with both biases."""
    recurrent = w["w_hh"].T

    def cell(state, z):
        h, c = state
        i, f, g, o = jnp.split(z + h @ recurrent, 4, 1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h
    return jax.lax.scan(cell, state, z)


def gru(w, z, h):
    def cell(h, z):
        z_r, z_z, z_n = jnp.split(z, 3, 1)
        h_r, h_z, h_n = jnp.split(h @ w["w_hh"].T + w["b_hh"], 3, 1)
        update = jax.nn.sigmoid(z_z + h_z)
        candidate = jnp.tanh(z_n + jax.nn.sigmoid(z_r + h_r) * h_n)
        h = (1 - update) * candidate + update * h
        return h, h
    return jax.lax.scan(cell, h, z)


def rnn(w, z, h):
    def cell(h, z):
        h = jnp.tanh(z + h @ w["w_hh"].T)
        return h, h
    return jax.lax.scan(cell, h, z)


def layer(family, w, x):
    """Hidden outputs [T, B, H]."""
    zero = jnp.zeros((x.shape[1], w["w_hh"].shape[1]))
    z = x @ w["w_ih"].T + w["b_ih"]
    if family == "gru":
        return gru(w, z, zero)[1]
    if family == "rnn":
        return rnn(w, z + w["b_hh"], zero)[1]
    return lstm(w, z + w["b_hh"], (zero, zero))[1]


def outputs(family, weights, x):
    if family != "bilstm":
        return layer(family, weights[0], x)
    backwards = layer(family, weights[1], x[::-1])[::-1]
    return jnp.concatenate([layer(family, weights[0], x), backwards], 2)


def half_squares(h):
    return 0.5 * jnp.square(h).sum()


def own_cell(w, x):
    """The cell in cases/custom.seq."""
    zero = jnp.zeros((x.shape[1], w["w_hh"].shape[1]))

    def cell(state, z):
        h, c = state
        z_f, z_g, z_o = jnp.split(z + h @ w["w_hh"].T, 3, 1)
        f = jax.nn.sigmoid(z_f + w["p_f"] * c)
        centred = z_g - z_g.mean(-1, keepdims=True)
        variance = jnp.square(centred).mean(-1, keepdims=True)
        g = jnp.tanh(centred * jax.lax.rsqrt(variance + 1e-5) * w["scale"] + w["shift"])
        c = f * c + (1 - f) * g
        h = jax.nn.sigmoid(z_o + w["p_o"] * c) * jnp.tanh(c)
        return (h, c), h
    z = x @ w["w_ih"].T + w["b_ih"] + w["b_hh"]
    return half_squares(jax.lax.scan(cell, (zero, zero), z)[1])


def training(loss, weights, optimizer, carried, *data):
    """`loss(weights, carried, *data)` gives a number and what is carried to the next step."""
    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def update(weights, state, carried, *data):
        (value, carried), grads = jax.value_and_grad(loss, has_aux=True)(weights, carried, *data)
        changes, state = optimizer.update(grads, state, weights)
        return optax.apply_updates(weights, changes), state, carried, value
    weights = tree(jnp.array, weights)
    now = [weights, optimizer.init(weights), carried]
    data = [jnp.asarray(a) for a in data]

    def step():
        *now[:], value = update(*now, *data)
        return float(value)
    return step


def time_first(case):
    return jnp.asarray(made.inputs(case.sizes)).transpose(1, 0, 2)


def char_forward(w, index, states):
    """index [T, B]: the product with a one-hot vector is a row of the matrix."""
    first, second = w["layers"]
    z = first["w_ih"].T[index] + first["b_ih"] + first["b_hh"]
    s1, h = lstm(first, z, states[0])
    s2, h = lstm(second, h @ second["w_ih"].T + second["b_ih"] + second["b_hh"], states[1])
    return h @ w["w_o"].T + w["b_o"], [s1, s2]


def char_states(d, batch):
    return [tuple(jnp.zeros((batch, d["H"])) for _ in range(2)) for _ in range(d["L"])]


def char_loss(w, states, x, y):
    logits, states = char_forward(w, x, states)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), states


def char_training(case):
    d = case.sizes
    rule = optax.rmsprop(2e-3, decay=0.95, eps=1e-8, eps_in_sqrt=False)
    x, y = (a.astype("int32") for a in made.symbols(d))
    states = char_states(d, d["B"])
    return training(char_loss, made.char_rnn(d), optax.chain(optax.clip(5.0), rule), states, x, y)


def char_writing(case):
    d = case.sizes

    @jax.jit
    def write(w, key):
        def one(carry, _):
            index, states, key = carry
            key, draw = jax.random.split(key)
            logits, states = char_forward(w, index[None], states)
            index = jax.random.categorical(draw, logits[0])
            return (index, states, key), index[0]
        start = (jnp.zeros(1, jnp.int32), char_states(d, 1), key)
        return jax.lax.scan(one, start, None, length=d["T"])[1].sum()
    weights = tree(jnp.array, made.char_rnn(d))
    return lambda: float(write(weights, jax.random.key(0)))


def build(case, peer, threads):
    if case.family == "charlstm":
        return char_training(case) if case.kind == "train" else char_writing(case)
    x = time_first(case)
    if case.family == "custom":
        def loss(w, none, x):
            return own_cell(w, x), none
        return training(loss, made.custom(case.sizes), optax.sgd(RATE), (), x)
    weights, family = made.layers(case.family, case.sizes), case.family
    if case.kind == "infer":
        weights = tree(jnp.array, weights)
        infer = jax.jit(lambda w, x: jnp.square(outputs(family, w, x)).sum())
        return lambda: float(infer(weights, x))

    def loss(w, none, x):
        return half_squares(outputs(family, w, x)), none
    return training(loss, weights, optax.sgd(RATE), (), x)


if __name__ == "__main__":
    worker.serve(build)
