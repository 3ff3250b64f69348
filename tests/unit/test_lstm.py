# SPDX-License-Identifier: Apache-2.0
"""The action network against its equations, written out in float64 NumPy."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from numpy.typing import NDArray

from poseact_engine.errors import ConfigError
from tests.poses import random_windows

pytestmark = pytest.mark.needs_torch
if importlib.util.find_spec("torch"):
    import torch

    from poseact_engine.training.models.lstm import ActionLstm, LstmConfig


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def numpy_lstm(state: dict[str, NDArray[np.float64]], x: NDArray[np.float64], layers: int):
    """Hochreiter and Schmidhuber's cell, step by step; [W, T, F] to logits [W, C]."""
    for layer in range(layers):
        w, r = state[f"lstm.weight_ih_l{layer}"], state[f"lstm.weight_hh_l{layer}"]
        bias = state[f"lstm.bias_ih_l{layer}"] + state[f"lstm.bias_hh_l{layer}"]
        h = c = np.zeros((len(x), r.shape[1]))
        steps = []
        for t in range(x.shape[1]):
            i, f, g, o = np.split(x[:, t] @ w.T + h @ r.T + bias, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            steps.append(h)
        x = np.stack(steps, axis=1)
    return x[:, -1] @ state["head.weight"].T + state["head.bias"]


def make_model(seed: int = 0, **options: object) -> ActionLstm:
    torch.manual_seed(seed)
    model = ActionLstm(LstmConfig(**options))  # type: ignore[arg-type]
    model.fit_standardise(torch.from_numpy(random_windows(64, seed=seed)))
    return model.eval()


@pytest.mark.parametrize(("hidden", "layers"), [(128, 3), (16, 1), (24, 2)])
def test_it_has_the_papers_number_of_parameters(hidden: int, layers: int) -> None:
    model = ActionLstm(LstmConfig(hidden=hidden, layers=layers))
    first = 4 * hidden * (34 + hidden + 2)
    further = (layers - 1) * 4 * hidden * (hidden + hidden + 2)
    assert sum(p.numel() for p in model.parameters()) == first + further + hidden * 6 + 6


@pytest.mark.parametrize(("hidden", "layers"), [(128, 3), (16, 1)])
def test_it_equals_its_equations(hidden: int, layers: int) -> None:
    model = make_model(hidden=hidden, layers=layers).double()
    windows = torch.from_numpy(random_windows(20, seed=7)).double()
    features = model.standardise(model.normalise(windows)).numpy()
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    with torch.no_grad():
        logits = model(windows).numpy()
    np.testing.assert_allclose(logits, numpy_lstm(state, features, layers), atol=1e-12)


def test_only_the_order_of_poses_tells_a_fall_from_a_rise() -> None:
    model = make_model()
    windows = torch.from_numpy(random_windows(12, seed=3))
    there, back = model.probabilities(windows), model.probabilities(windows.flip(1))
    assert (there - back).abs().max() > 1e-4


def test_probabilities_do_not_depend_on_the_batch_and_leave_the_mode_alone() -> None:
    model = make_model().train()
    windows = torch.from_numpy(random_windows(30, seed=1))
    whole, parts = model.probabilities(windows), model.probabilities(windows, batch=7)
    torch.testing.assert_close(whole, parts, atol=1e-6, rtol=0)
    torch.testing.assert_close(whole.sum(dim=1), torch.ones(30))
    assert model.training
    assert model.probabilities(windows[:0]).shape == (0, 6)


@pytest.mark.parametrize(
    "options",
    [{"hidden": 0}, {"layers": 0}, {"layers": True}, {"dropout": 1.0}, {"normalise": "none"}],
)
def test_a_wrong_shape_of_network_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        LstmConfig(**options)  # type: ignore[arg-type]
