# SPDX-License-Identifier: Apache-2.0
"""The parity gate: what an export made is held against what it came from."""
