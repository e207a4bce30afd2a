"""Expressions over the output columns of a pipeline: `out.price < 3000000 and out["p(high)"][1] <= 0.5`.

The language is a corner of Python's, read with `ast` and never run as Python: columns, numbers, texts, comparisons,
`+ - * /`, `and`, `or`, `not`, `abs()` and `is_finite()`. Whatever else stands there is refused with its place. What an
expression comes to is told by whoever has the columns.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

LONGEST = 1_000  # characters; Python's parser is only given what it can take
DEEPEST = 40

_WORDS = (
    'It may use columns (`out.price`, `out.scores[0]`, `out["a name"]`), numbers, texts, comparisons, + - * /, '
    "and, or, not, abs() and is_finite()."
)


class BadExpression(ValueError):
    """Text that is no expression; `detail` says what there may be, `column` where in the text it goes wrong, from 1."""

    def __init__(self, summary: str, detail: str = _WORDS, column: int = 1) -> None:
        super().__init__(summary)
        self.detail = detail
        self.column = column


class Operator(StrEnum):
    """What is done to operands."""

    ADD = "add"
    SUBTRACT = "subtract"
    MULTIPLY = "multiply"
    DIVIDE = "divide"
    NEGATE = "negate"
    ABS = "abs"
    LESS = "less"
    LESS_EQUAL = "less_equal"
    GREATER = "greater"
    GREATER_EQUAL = "greater_equal"
    EQUAL = "equal"
    NOT_EQUAL = "not_equal"
    IS_FINITE = "is_finite"
    AND = "and"
    OR = "or"
    NOT = "not"

    @property
    def is_truth(self) -> bool:
        """Whether what comes out is true or false."""
        return self not in _NUMERIC

    @property
    def takes_truths(self) -> bool:
        """Whether what goes in is true or false."""
        return self in {Operator.AND, Operator.OR, Operator.NOT}


_NUMERIC = frozenset(
    {Operator.ADD, Operator.SUBTRACT, Operator.MULTIPLY, Operator.DIVIDE, Operator.NEGATE, Operator.ABS}
)


@dataclass(frozen=True, slots=True)
class Column:
    """An output, or with an `index` that value of each of its lists."""

    name: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a text, true or false."""

    value: float | str | bool


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator and what it is applied to."""

    operator: Operator
    operands: tuple[Expression, ...]


Expression = Column | Constant | Operation


def parse_expression(text: str) -> Expression:
    """What a text says; it is true or false of each row. Raises BadExpression."""
    if len(text) > LONGEST:
        raise BadExpression(f"an expression has at most {LONGEST} characters; this has {len(text)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python finds odd, such as `1if`, is refused below or harmless
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        column = getattr(error, "offset", None) or 1
        raise BadExpression(f"{text.strip()!r} is no expression", column=column) from None
    found = _read(tree, DEEPEST)
    if not _may_be_truth(found):
        raise BadExpression("this is a value, not true or false", "Compare it: `out.price < 3000000`.")
    return found


def columns_of(expression: Expression) -> Iterator[Column]:
    """Every column that it mentions, as often as it does."""
    if isinstance(expression, Column):
        yield expression
    elif isinstance(expression, Operation):
        for operand in expression.operands:
            yield from columns_of(operand)


_BINARY: Mapping[type[ast.AST], Operator] = {
    ast.Add: Operator.ADD,
    ast.Sub: Operator.SUBTRACT,
    ast.Mult: Operator.MULTIPLY,
    ast.Div: Operator.DIVIDE,
    ast.Lt: Operator.LESS,
    ast.LtE: Operator.LESS_EQUAL,
    ast.Gt: Operator.GREATER,
    ast.GtE: Operator.GREATER_EQUAL,
    ast.Eq: Operator.EQUAL,
    ast.NotEq: Operator.NOT_EQUAL,
    ast.And: Operator.AND,
    ast.Or: Operator.OR,
    ast.Not: Operator.NOT,
    ast.USub: Operator.NEGATE,
}
_FUNCTIONS: Mapping[str, Operator] = {"abs": Operator.ABS, "is_finite": Operator.IS_FINITE}


def _read(node: ast.expr, depth: int) -> Expression:
    if not depth:
        raise _refused(node, "this is nested too deeply")
    reader = _READERS.get(type(node))
    if reader is None:
        raise _refused(node, f"{ast.unparse(node)!r} has no place in an expression")
    return reader(node, depth - 1)


def _constant(node: ast.Constant, _depth: int) -> Expression:
    if not isinstance(node.value, bool | int | float | str):
        raise _refused(node, f"{ast.unparse(node)!r} has no place in an expression")
    if isinstance(node.value, int) and abs(node.value) >= 2**63:
        raise _refused(node, "this number has more than 63 bits")
    return Constant(node.value)


def _column(node: ast.Attribute | ast.Subscript, _depth: int) -> Expression:
    """`out.name`, `out["name"]`, and either with a number in brackets after it."""
    index: int | None = None
    named: ast.expr = node
    if isinstance(node, ast.Subscript) and not _is_out(node.value):
        index, named = _index(node.slice), node.value
    if isinstance(named, ast.Attribute) and _is_out(named.value):
        return Column(named.attr, index)
    if isinstance(named, ast.Subscript) and _is_out(named.value) and isinstance(named.slice, ast.Constant):
        name = named.slice.value
        if isinstance(name, str):
            return Column(name, index)
    raise _refused(node, f"{ast.unparse(node)!r} is no output column")


def _is_out(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "out"


def _index(node: ast.expr) -> int:
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31:
        return value
    raise _refused(node, "a place in a list is a whole number from 0 on")


def _binary(node: ast.BinOp, depth: int) -> Expression:
    return _operation(node, node.op, [node.left, node.right], depth)


def _unary(node: ast.UnaryOp, depth: int) -> Expression:
    if isinstance(node.op, ast.UAdd):
        return _read(node.operand, depth)
    return _operation(node, node.op, [node.operand], depth)


def _boolean(node: ast.BoolOp, depth: int) -> Expression:
    return _operation(node, node.op, node.values, depth)


def _compare(node: ast.Compare, depth: int) -> Expression:
    """`a < b <= c` is `a < b and b <= c`, as in Python."""
    sides = [node.left, *node.comparators]
    parts = [_operation(node, op, sides[place : place + 2], depth) for place, op in enumerate(node.ops)]
    return parts[0] if len(parts) == 1 else Operation(Operator.AND, tuple(parts))


def _call(node: ast.Call, depth: int) -> Expression:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in _FUNCTIONS or len(node.args) != 1 or node.keywords:
        raise _refused(node, f"{ast.unparse(node)!r} calls what an expression can't call")
    return _operation(node, _FUNCTIONS[name], node.args, depth)


def _operation(node: ast.expr, found: ast.AST | Operator, operands: list[ast.expr], depth: int) -> Expression:
    operator = found if isinstance(found, Operator) else _BINARY.get(type(found))
    if operator is None:
        raise _refused(node, f"{ast.unparse(node)!r} has an operator that an expression can't have")
    read = tuple(_read(operand, depth) for operand in operands)
    fits = _may_be_truth if operator.takes_truths else _may_be_value
    for operand, expression in zip(operands, read, strict=True):
        if not fits(expression):
            kind = "true or false" if operator.takes_truths else "a number"
            raise _refused(operand, f"{ast.unparse(operand)!r} is not {kind}")
    return Operation(operator, read)


def _may_be_truth(expression: Expression) -> bool:
    if isinstance(expression, Operation):
        return expression.operator.is_truth
    return isinstance(expression, Column) or isinstance(expression.value, bool)


def _may_be_value(expression: Expression) -> bool:
    return not isinstance(expression, Operation) or not expression.operator.is_truth


def _refused(node: ast.expr, summary: str) -> BadExpression:
    return BadExpression(summary, column=node.col_offset + 1)


# Each reader is given a node of its own type only.
_READERS: Mapping[type[ast.AST], Callable[..., Expression]] = {
    ast.Constant: _constant,
    ast.Attribute: _column,
    ast.Subscript: _column,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.Call: _call,
}
