"""Compiling an expression: its type, or what Kubernetes would say is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from knarr.api.cel import costs, libraries, tree
from knarr.api.cel import shapes as schemas
from knarr.apimachinery.types import Object

_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)", re.DOTALL)
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)' \(in container ''\)")
_TWO_VARIABLES = re.compile(r"\.(?:all|exists|existsOne|transform\w+)\(\s*\w+\s*,\s*\w+\s*,")
_SELECTED = re.compile(r"expression of type '(.*)' cannot be the operand of a select operation")
_RECEIVER = r"([^,()]+(?:\([^()]*\))?)"
_NO_OVERLOAD = re.compile(rf"found no matching overload for '(\w+)' applied to '\({_RECEIVER}(?:, )?(.*)\)'")


@dataclass(frozen=True, slots=True)
class Environment:
    """What an expression may refer to.

    `variables`: name and type (`object` `dyn`), also of fields (`request.name` `string`), sorted; `closed`: names of
    which only the listed fields exist; `constructs`: types that may be built (`Object`), of which nothing is checked.
    """

    variables: tuple[tuple[str, str], ...]
    closed: frozenset[str] = frozenset()
    constructs: tuple[str, ...] = ()

    def with_variable(self, name: str, kind: str) -> Environment:
        """The same with one more."""
        return replace(self, variables=tuple(sorted({**dict(self.variables), name: kind}.items())))

    def without(self, *names: str) -> Environment:
        """The same without some."""
        return replace(self, variables=tuple(pair for pair in self.variables if pair[0] not in names))

    def closing(self, name: str) -> Environment:
        """The same with a variable of which there are no fields but those of their own."""
        return replace(self, closed=self.closed | {name})


@dataclass(frozen=True, slots=True)
class Compiled:
    """The type of an expression, as Kubernetes writes it (`list(string)`), or what is wrong with it."""

    type: str = ""
    problem: str = ""


def compile_about(text: str, shapes: Mapping[str, Object]) -> Compiled:
    """The same of an expression about values of known schemas: variable → its JSON schema."""
    plain = Environment(tuple(sorted((name, schemas.cel_type(shape)) for name, shape in shapes.items())))
    found = compile_expression(text, plain)
    if found.problem:
        return found
    missing = schemas.undefined(tree.read(_environment(plain).compile(text).serialize()), shapes)
    if missing:
        lines = [_marked(text, offset, f"undefined field '{name}'") for offset, name in missing]
        return Compiled(problem="compilation failed: " + "\n".join(lines))
    if "has(" in text:
        # It asks for fields, and names of fields are variables below.
        return found
    names = [pair for name, shape in shapes.items() for pair in schemas.variables(name, shape)]
    return compile_expression(text, Environment(tuple(sorted(names))))


def cost_about(text: str, shapes: Mapping[str, Object]) -> int:
    """The most that an expression (one that compiles) about values of known schemas may cost."""
    plain = Environment(tuple(sorted((name, schemas.cel_type(shape)) for name, shape in shapes.items())))
    return costs.estimate(tree.read(_environment(plain).compile(text).serialize()), shapes)


def _marked(text: str, offset: int, sentence: str) -> str:
    before = text[:offset].split("\n")
    line, column = len(before), len(before[-1]) + 1
    source = text.split("\n")[line - 1]
    return f"ERROR: <input>:{line}:{column}: {sentence}\n | {source}\n | {'.' * (column - 1)}^"


@lru_cache(maxsize=4096)
def compile_expression(text: str, environment: Environment) -> Compiled:
    """What comes of an expression. Never raises for a bad one."""
    compiler = _environment(environment)
    try:
        # Loops over keys and values are Go's alone: nothing is known of their types here.
        found = compiler.compile(text, disable_check=bool(_TWO_VARIABLES.search(text)))
    except RuntimeError as error:
        if "ERROR: <input>" not in str(error):
            raise
        return _failed(text, environment, str(error))
    return Compiled(type=_type_text(found.return_type().name(), str(found.return_type())))


@lru_cache(maxsize=128)
def _environment(environment: Environment) -> Any:
    # It is 14 MB: loaded with the first expression.
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_optional

    variables = {name: libraries.type_of(cel, kind) for name, kind in environment.variables}
    extensions = [ext_optional.ExtOptional()]
    return cel.NewEnv(variables=variables, functions=libraries.functions(cel), extensions=extensions)


def _failed(text: str, environment: Environment, message: str) -> Compiled:
    message = message.removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
    parts = [f"ERROR: {part}" for part in message.split("ERROR: ") if part]
    kept = [line for part in parts if (line := _translated(text, environment, part.rstrip("\n")))]
    if not kept:
        # Only what is built was not understood.
        return Compiled(type=_constructed(text, environment))
    return Compiled(problem="compilation failed: " + "\n".join(kept))


def _constructed(text: str, environment: Environment) -> str:
    listed = text.lstrip().startswith("[")
    name = environment.constructs[0]
    return f"list({environment.constructs[-1]})" if listed else name


def _translated(text: str, environment: Environment, part: str) -> str:
    """One error in Go's words; empty for one that Kubernetes would not find."""
    found = _ERROR.match(part)
    if found is None:
        return part
    line, column, rest = int(found[1]), int(found[2]), found[3]
    sentence, *snippet = rest.replace("\\u003F", "?").split("\n")
    if not text:
        column = 0
    undeclared = _UNDECLARED.match(sentence)
    if undeclared is not None:
        name = undeclared[1]
        if name.partition(".")[0] in environment.constructs:
            return ""
        sentence, column = _reference(text, environment, name, (line, column))
    elif _SELECTED.fullmatch(sentence):
        sentence = _SELECTED.sub(r"type '\1' does not support field selection", sentence)
    else:
        sentence = _overload(text, sentence, (line, column))
    marked = [*snippet[:-1], f" | {'.' * (column - 1)}^"] if snippet else []
    return "\n".join([f"ERROR: <input>:{line}:{column}: {sentence}", *marked])


def _reference(text: str, environment: Environment, name: str, at: tuple[int, int]) -> tuple[str, int]:
    """Of `a.b.c` Go names the part that is not there: a variable, or the field of one whose fields are known."""
    line, column = at
    steps = name.split(".")
    source = text.split("\n")[line - 1]
    known = ""
    for index, step in enumerate(steps[:-1]):
        known = f"{known}.{step}" if known else step
        if known in environment.closed:
            start = source.rfind(".".join(steps[: index + 2]), 0, max(column, 1) + len(steps[index + 1]))
            return f"undefined field '{steps[index + 1]}'", max(start, 0) + len(known) + 1
    if len(steps) == 1:
        return f"undeclared reference to '{name}' (in container '')", column
    start = source.rfind(steps[0], 0, column)
    return f"undeclared reference to '{steps[0]}' (in container '')", max(start, 0) + 1


def _overload(text: str, sentence: str, at: tuple[int, int]) -> str:
    """A method's receiver stands before its parameters."""
    found = _NO_OVERLOAD.fullmatch(sentence)
    line, column = at
    if found is None:
        return sentence
    before = text.split("\n")[line - 1][: column - 1]
    if not before.endswith(f".{found[1]}"):
        return sentence
    return f"found no matching overload for '{found[1]}' applied to '{found[2]}.({found[3]})'"


def _type_text(name: str, shown: str) -> str:
    """A type as Go writes it: `list(string)`, `map(string, dyn)`."""
    text = shown if "<" in shown else name
    plain = text.replace("<", "(").replace(">", ")")
    return re.sub(r"(?<![.\w])[A-Z]+\b", lambda match: _NAMES.get(match[0], match[0].lower()), plain)


_NAMES = {"NULL": "null_type", "TIMESTAMP": "timestamp", "DURATION": "duration"}
