# SPDX-License-Identifier: Apache-2.0
"""Scenes with known truth, made by code: for the demo, training, accuracy tests and benchmarks."""

FIRST_EVALUATION_SEED = 1_000_000
"""Seeds from here on are for measuring; models are trained, and chosen, on those below."""
