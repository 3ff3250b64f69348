# SPDX-License-Identifier: Apache-2.0
"""One made world for all integration tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.made_world import World, make_world, write_scene


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames at 30 Hz."""
    return write_scene(tmp_path_factory.mktemp("clips") / "walk.mp4", 40)
