# SPDX-License-Identifier: Apache-2.0
# Every target sets up what it needs and is quick to run again; the work is in scripts/.
.PHONY: build demo test cpp-test lint format clean

build: ## .venv with the package, importable and rebuilt when a source has changed
	scripts/setup.sh

demo: ## a made CCTV scene through the whole engine, into demo_out/ (DEMO="--seed 3": its options)
	scripts/demo.sh $(DEMO)

test: ## C++ tests under sanitizers, FFmpeg's newer headers, then pytest
	scripts/test.sh

cpp-test: ## GoogleTest under ASan + UBSan and under TSan
	scripts/setup.sh
	scripts/cpp_test.sh asan tsan

lint: ## ruff, mypy, stubtest, import-linter, clang-format, clang-tidy, gersemi, budgets
	scripts/lint.sh

format: ## write what `make lint` only checks
	scripts/lint.sh --fix

clean: ## what was built; .venv stays
	rm -rf build
