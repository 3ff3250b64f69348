# SPDX-License-Identifier: Apache-2.0
"""What `poseact demo` shows: a run over made scenes beside their known truth, as one page."""
