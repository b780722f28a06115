"""What a mutant may change, as Cosmic Ray's operators have it: theirs, and some that they lack."""

import ast
import random
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from parso.python.tree import Keyword

# The rest of Cosmic Ray's would add mutants that any test kills, as a division in the place of a sum.
_THEIRS = (
    *(f"ReplaceComparisonOperator_{pair}" for pair in (
        "Eq_NotEq", "NotEq_Eq", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt",
        "Is_IsNot", "IsNot_Is",
    )),
    *(f"ReplaceBinaryOperator_{pair}" for pair in (
        "Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Pow_Mul", "BitAnd_BitOr", "BitOr_BitAnd",
    )),
    "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_USub", "AddNot", "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak", "NumberReplacer", "ZeroIterationForLoop",
)  # fmt: skip


class _Own(Operator):  # type: ignore[misc]
    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


class OtherFunction(_Own):
    """`any` for `all`, `min` for `max`, and back."""

    _others = {"any": "all", "all": "any", "min": "max", "max": "min"}  # noqa: RUF012

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        if node.type == "name" and node.value in self._others:
            following = node.get_next_leaf()
            if following is not None and following.value in ("(", ",", ")"):
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.value = self._others[node.value]
        return node


class DropOperand(_Own):
    """One of the terms of `a or b`, `a and b`, `a | b`, `a + b` left out."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        if node.type in ("or_test", "and_test", "expr", "arith_expr"):
            for _ in node.children[::2]:
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        at = 2 * index
        left_out = slice(at, at + 2) if at == 0 else slice(at - 1, at + 1)
        first = node.get_first_leaf().prefix
        del node.children[left_out]
        node.get_first_leaf().prefix = first
        return node


class PlainAssignment(_Own):
    """`=` for `+=`, `|=` and their like."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        if node.type == "operator" and node.value in ("+=", "-=", "|=", "*="):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.value = "="
        return node


class DropCall(_Own):
    """A statement that is a call left out."""

    def mutation_positions(self, node: Any) -> Iterator[Any]:
        if node.type == "simple_stmt" and node.children[0].type == "atom_expr":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        call = node.children[0]
        node.children[0] = Keyword("pass", call.start_pos, call.get_first_leaf().prefix)
        return node


def mutants(source: str, rng: random.Random) -> Iterator[tuple[str, str]]:
    """The mutants of a module that do something else, as far as its text shows, in any order: (operator, source)."""
    tree, seen = get_ast(source), {_meaning(source)}
    places = [
        (operator, occurrence)
        for operator in _operators()
        for occurrence in range(sum(1 for node in ast_nodes(tree) for _ in operator.mutation_positions(node)))
    ]
    for operator, occurrence in rng.sample(places, len(places)):
        changed = mutate_code(source, operator, occurrence)
        try:
            meaning = _meaning(changed)
        except SyntaxError:
            continue
        if meaning not in seen:
            seen.add(meaning)
            yield type(operator).__name__, changed


def _operators() -> list[Operator]:
    theirs = [cosmic_ray.plugins.get_operator(f"core/{name}")() for name in _THEIRS]
    return [*theirs, OtherFunction(), DropOperand(), PlainAssignment(), DropCall()]


def _meaning(source: str) -> str:
    """What a module does: without docstrings, types, and assertions that only type checkers need."""
    return ast.dump(_Bare().visit(ast.parse(source)))


class _Bare(ast.NodeTransformer):
    @cached_property
    def _nothing(self) -> ast.expr:
        return ast.Constant(None)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        return ast.Pass() if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = self._nothing
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        # The name of a type: `Raw = RawDataset | RawPipelines`.
        name = node.targets[0].id if isinstance(node.targets[0], ast.Name) else ""
        if name[:1].isupper() and isinstance(node.value, ast.BinOp | ast.Subscript) and not name.isupper():
            return ast.Pass()
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        # Whether fields may be set anew, which nothing does.
        return ast.keyword("frozen", self._nothing) if node.arg == "frozen" else self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return ast.Pass()

    def visit_If(self, node: ast.If) -> ast.AST:
        return ast.Pass() if "TYPE_CHECKING" in ast.dump(node.test) else self.generic_visit(node)
