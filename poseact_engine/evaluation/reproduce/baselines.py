# SPDX-License-Identifier: Apache-2.0
"""Random forest and support vector machine on flat windows (scikit-learn, imported when used)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseact_engine.errors import DependencyError
from poseact_engine.training.windows import WindowSet

TREES = 100
Namer = Callable[[NDArray[np.float32]], NDArray[np.int64]]
"""Windows float32 ``[W, T, K, 3]`` to the class of each, int64 ``[W]``."""


def require_sklearn() -> None:
    """Raises DependencyError without scikit-learn."""
    try:
        import sklearn  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            f"the random forest and the SVM need scikit-learn, which cannot be imported ({error});"
            " install with `pip install 'poseact-engine[eval]'`"
        ) from error


def fit_forest(windows: WindowSet, *, seed: int, threads: int) -> Namer:
    """A random forest of ``TREES`` trees, scikit-learn's defaults else."""
    require_sklearn()
    from sklearn.ensemble import RandomForestClassifier  # type: ignore[import-untyped]

    return _fit(RandomForestClassifier(TREES, random_state=seed, n_jobs=threads), windows)


def fit_svm(windows: WindowSet, *, seed: int) -> Namer:
    """A support vector machine with a Gaussian kernel, scikit-learn's defaults else."""
    require_sklearn()
    from sklearn.svm import SVC  # type: ignore[import-untyped]

    return _fit(SVC(kernel="rbf", random_state=seed, cache_size=500), windows)


def flatten(windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """``[W, T * K * 2]``: plain pixels, pose after pose; unseen joints are (0, 0), as the paper's
    LSTM sees them."""
    return windows[..., :2].reshape(len(windows), -1).astype(np.float64)


def _fit(classifier: Any, windows: WindowSet) -> Namer:
    from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
    from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

    fitted = make_pipeline(StandardScaler(), classifier)
    fitted.fit(flatten(windows.poses_px), windows.labels)

    def name(poses: NDArray[np.float32]) -> NDArray[np.int64]:
        said: NDArray[np.int64] = np.asarray(fitted.predict(flatten(poses)), dtype=np.int64)
        return said

    return name
