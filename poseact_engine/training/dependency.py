# SPDX-License-Identifier: Apache-2.0
"""The one package that training needs and the engine does not."""

from __future__ import annotations

from typing import Any

from poseact_engine.errors import DependencyError


def import_torch() -> Any:
    """The torch module; DependencyError says how to install it."""
    try:
        import torch
    except ImportError as error:
        raise DependencyError(
            "trained weights need torch, which is not installed;"
            " try: pip install 'poseact-engine[train]'"
        ) from error
    return torch
