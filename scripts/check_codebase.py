# SPDX-License-Identifier: Apache-2.0
"""Rules of the code base that no other tool knows: sizes, licence lines, who may include whom.

Prints one line per fault, ``file:line: what``, and exits 1 if there is any.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES, HEADER_LINES, ROOT_CMAKE_LINES, FUNCTION_LINES, POSITIONAL = 300, 150, 60, 40, 5
FOLDERS = ("poseact_engine", "export", "csrc", "tests", "scripts", "cmake", "benchmarks", ".ci")
SOURCES = {".py", ".pyi", ".cpp", ".h", ".cu", ".cuh", ".cmake", ".sh", ".txt"}
SPDX = re.compile(r"^(#|//) SPDX-License-Identifier: Apache-2\.0$")
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]')
# C++ rooms below the bindings; each may include itself and core.
ROOMS = ("decode", "crop", "detect", "track", "window")
TORCH_ROOMS = ("poseact_engine/training/", "export/", "tests/")
Fault = tuple[Path, int, str]


def sources(root: Path) -> Iterator[Path]:
    yield root / "CMakeLists.txt"
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            named = path.suffix in SOURCES - {".txt"} or path.name in ("CMakeLists.txt", "run")
            if path.is_file() and named:
                yield path


def check_file(path: Path, lines: list[str], root: Path) -> Iterator[Fault]:
    licence = 1 if lines and lines[0].startswith("#!") else 0
    if len(lines) <= licence or not SPDX.match(lines[licence]):
        yield path, licence + 1, "expected the SPDX licence line first"
    limit = HEADER_LINES if path.suffix == ".h" else FILE_LINES
    if path == root / "CMakeLists.txt":
        limit = ROOT_CMAKE_LINES
    if len(lines) > limit:
        yield path, len(lines), f"expected at most {limit} lines, got {len(lines)}"


Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_command(node: Function) -> bool:
    """Whether typer calls it: its parameters are the options of a command, given by name."""
    calls = [d.func for d in node.decorator_list if isinstance(d, ast.Call)]
    names = [f.attr for f in calls if isinstance(f, ast.Attribute)]
    return "command" in names or "callback" in names


def function_lines(node: Function) -> int:
    """Without the docstring; of a command without its options too."""
    first, last = node.body[0], node.body[-1].end_lineno or 0
    docstring = 0
    if ast.get_docstring(node) is not None:
        docstring = (first.end_lineno or first.lineno) - first.lineno + 1
    start = first.lineno if is_command(node) else node.lineno
    return last - start + 1 - docstring


def check_function(path: Path, node: Function) -> Iterator[Fault]:
    length = function_lines(node)
    if length > FUNCTION_LINES:
        yield path, node.lineno, f"{node.name}: at most {FUNCTION_LINES} lines, got {length}"
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    names = [name for name in names if name not in ("self", "cls")]
    free = is_command(node) or node.name.startswith("test_")  # both are called by name
    if len(names) > POSITIONAL and not free:
        yield path, node.lineno, f"{node.name}: at most {POSITIONAL} positional, got {len(names)}"


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [node.module or ""]
    return []


def check_python(path: Path, text: str, root: Path) -> Iterator[Fault]:
    inside = path.relative_to(root).as_posix()
    for node in ast.walk(ast.parse(text, str(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from check_function(path, node)
        if not inside.startswith(TORCH_ROOMS):
            for name in imported(node):
                if name.split(".")[0] in ("torch", "torchvision"):
                    line = getattr(node, "lineno", 1)
                    yield path, line, "torch is imported under training/ and export/ only"


def check_includes(path: Path, lines: list[str], root: Path) -> Iterator[Fault]:
    parts = path.relative_to(root).parts
    if parts[0] != "csrc" or parts[1] == "bindings":
        return
    allowed = {parts[1], "core"}
    for number, line in enumerate(lines, start=1):
        match = INCLUDE.match(line)
        if not match:
            continue
        name = match.group(1)
        if name.startswith("pybind11/") or name == "Python.h":
            yield path, number, f"{name} is included under csrc/bindings/ only"
        room = name.split("/")[0]
        if "/" in name and room in (*ROOMS, "bindings", "core") and room not in allowed:
            yield path, number, f"csrc/{parts[1]} may not include {name}"


def faults(root: Path) -> Iterator[Fault]:
    for path in sources(root):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        yield from check_file(path, lines, root)
        if path.suffix == ".py":
            yield from check_python(path, text, root)
        elif path.suffix in (".cpp", ".h", ".cu", ".cuh"):
            yield from check_includes(path, lines, root)


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    found = list(faults(root))
    for path, line, what in found:
        print(f"{path.relative_to(root)}:{line}: {what}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
