"""Writes the asynchronous client, dkronpy/client/aio.py, from dkronpy/client/api.py: each route is written once.

python .ci/async_client.py
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parent.parent / "dkronpy" / "client"
HEADER = '"""The asynchronous client, written by `.ci/async_client.py` from `api.py`: edit that one."""\n'
NAMES = {
    "Client": "AsyncClient",
    "Transport": "AsyncTransport",
    "Iterator": "AsyncGenerator",
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
}
PLAIN = {"__init__", "url"}
"""Methods that ask nothing of the server."""


class Rewrite(ast.NodeTransformer):
    """A class whose methods ask a server → the same with coroutines."""

    def __init__(self, methods: set[str]) -> None:
        self._methods = methods

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        name = NAMES.get(node.name, node.name)
        kind = ast.FunctionDef if node.name in PLAIN or not node.args.args or node.args.args[0].arg != "self" else None
        fields = {field: getattr(node, field) for field in node._fields}
        return (kind or ast.AsyncFunctionDef)(**{**fields, "name": name})

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node.func:
            case ast.Attribute(value=ast.Name(id="self"), attr=attr) if attr in self._methods - PLAIN:
                return ast.Await(node)
            case ast.Attribute(
                value=ast.Attribute(value=ast.Name(id="self"), attr="_http"), attr=("request" | "close")
            ):
                return ast.Await(node)
            case _:
                return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.name = NAMES[node.name]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        match node.value:
            case ast.YieldFrom(value=found):
                item = ast.Name("item", ast.Store())
                return ast.For(item, found, [ast.Expr(ast.Yield(ast.Name("item", ast.Load())))], [])
            case _:
                return node

    def visit_With(self, node: ast.With) -> ast.AST:
        self.generic_visit(node)
        return ast.AsyncWith(node.items, node.body)

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        match node.iter:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="stream"))):
                return ast.AsyncFor(node.target, node.iter, node.body, node.orelse)
            case _:
                return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(NAMES.get(node.id, node.id), node.ctx)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "AsyncGenerator":
            return ast.Subscript(node.value, ast.Tuple([node.slice], ast.Load()), node.ctx)
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        module = {"dkronpy.client.transport": "dkronpy.client.aio_transport"}.get(node.module or "", node.module)
        return ast.ImportFrom(module, [ast.alias(NAMES.get(a.name, a.name), a.asname) for a in node.names], node.level)


def generated() -> str:
    """The text of the asynchronous client."""
    tree = ast.parse((CLIENT / "api.py").read_text())
    (client,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    methods = {node.name for node in client.body if isinstance(node, ast.FunctionDef)}
    iterators = {
        node.name
        for node in client.body
        if isinstance(node, ast.FunctionDef) and any(isinstance(i, ast.Yield | ast.YieldFrom) for i in ast.walk(node))
    }
    tree.body = tree.body[1:]  # its docstring
    text = HEADER + "\n" + ast.unparse(ast.fix_missing_locations(Rewrite(methods - iterators).visit(tree)))
    for command in (("check", "--fix", "--select", "I", "-q"), ("format", "-q")):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(CLIENT / "aio.py"), "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return text


if __name__ == "__main__":
    (CLIENT / "aio.py").write_text(generated())
