# SPDX-License-Identifier: Apache-2.0
from export.cli import main

main()
