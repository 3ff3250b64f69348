# SPDX-License-Identifier: Apache-2.0
"""What a TensorRT Python module offers, as plain data. A program, too (argument: the module).

It imports nothing of ours, so that it runs beside bindings whose libraries are stubs.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from types import ModuleType
from typing import Any

_SIGNATURE = re.compile(r"^(?:\d+\. )?(\w+)\((.*)\) -> (.+?)$", re.MULTILINE)


def probe(module: ModuleType) -> dict[str, Any]:
    """``version``, and of every class its members: enum members, properties, overloads."""
    classes = {n: k for n, k in vars(module).items() if inspect.isclass(k)}
    return {
        "version": vars(module)["__version__"],
        "classes": {name: _members(kind) for name, kind in classes.items()},
        "severities": sorted(module.ILogger.Severity.__members__),
    }


def _members(kind: type) -> dict[str, Any]:
    enum = getattr(kind, "__members__", {})
    found: dict[str, Any] = {}
    for name in dir(kind):
        static = inspect.getattr_static(kind, name)
        if isinstance(static, property):
            found[name] = {"kind": "property", "writable": static.fset is not None}
        elif name in enum:
            found[name] = {"kind": "member"}
        else:
            doc = getattr(kind, name).__doc__ or ""
            found[name] = {"kind": "method", "overloads": overloads(name, doc)}
    return found


def overloads(name: str, doc: str) -> list[dict[str, Any]]:
    """pybind11 writes a method's overloads into its docstring: the first line, or numbered ones."""
    return [
        {"parameters": _parameters(m[2]), "returns": m[3]}
        for m in _SIGNATURE.finditer(doc)
        if m[1] == name and m[2] != "*args, **kwargs"
    ]


def _parameters(text: str) -> list[dict[str, Any]]:
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "[(<{") - (sign in "])>}")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    found = []
    for part in parts:
        name, _, rest = part.strip().partition(": ")
        kind, equals, _ = rest.partition(" = ")
        found.append({"name": name, "type": kind, "default": bool(equals)})
    return [p for p in found if p["name"] not in ("self", "")]


if __name__ == "__main__":
    json.dump(probe(importlib.import_module(sys.argv[1])), sys.stdout)
