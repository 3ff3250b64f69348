# SPDX-License-Identifier: Apache-2.0
"""Scenes with known truth, made by code: for the demo, training, accuracy tests and benchmarks."""
