# SPDX-License-Identifier: Apache-2.0
"""The paper's experiments and the honest ones beside them, as one report."""
