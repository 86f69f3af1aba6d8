"""YAML bodies as the API reads them: the first document, as the JSON it stands for.

Scalars are told apart by the rules of Go's YAML 1.1 decoder, which knows no times and no sexagesimal numbers. Output:
the value, and the complaints of strict decoding about repeated keys.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
#: Underscores are taken out before.
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
#: An exponent needs its sign, unless the number begins with the point.
_FLOAT = re.compile(r"[-+]?[0-9]*\.?[0-9]+([eE][-+][0-9]+)?|\.[0-9]+([eE][-+]?[0-9]+)?")
#: From here on Go writes an exponent.
_LARGE = 1e21
_MERGE = "<<"
#: Values that a document with aliases may stand for.
_MOST_VALUES = 400_000


def parse(data: bytes) -> tuple[Any, list[str]]:
    """(the value of the first document, repeated keys). Raises `ValueError` with Go's words for a syntax error."""
    loader = yaml.CSafeLoader(data)
    try:
        node = _first(loader)
    except yaml.MarkedYAMLError as fault:
        raise ValueError(_message(fault)) from None
    except (yaml.YAMLError, UnicodeError) as fault:
        raise ValueError(f"yaml: {fault}") from None
    finally:
        loader.dispose()
    if node is None:
        return None, []
    if b"*" in data:
        _check_aliases(node)
    complaints: list[str] = []
    try:
        return _value(node, complaints), complaints
    except RecursionError:
        raise ValueError("yaml: exceeded max depth") from None


def _first(loader: Any) -> yaml.Node | None:
    return loader.get_node() if loader.check_node() else None


def _check_aliases(root: yaml.Node) -> None:
    """Refuse what aliases blow up: nodes that contain themselves, and many more values than were written.

    A node's size is counted once, whatever points to it; nesting is kept on a list, not on the interpreter's stack.
    """
    sizes: dict[int, int] = {}
    inside = {id(root)}
    stack = [(root, iter(_children(root)))]
    while stack:
        node, rest = stack[-1]
        child = next(rest, None)
        if child is None:
            stack.pop()
            inside.discard(id(node))
            sizes[id(node)] = 1 + sum(sizes[id(part)] for part in _children(node))
            if sizes[id(node)] > _MOST_VALUES:
                raise ValueError("yaml: document contains excessive aliasing")
        elif id(child) in inside:
            raise ValueError("yaml: anchor value contains itself")
        elif id(child) not in sizes:
            inside.add(id(child))
            stack.append((child, iter(_children(child))))


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _message(fault: yaml.MarkedYAMLError) -> str:
    mark = fault.problem_mark or fault.context_mark
    line = mark.line if mark is not None else 0
    if line and isinstance(fault, yaml.scanner.ScannerError):
        line += 1
    return f"yaml: line {line}: {fault.problem}" if line else f"yaml: {fault.problem}"


def _value(node: yaml.Node, complaints: list[str]) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, complaints)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, complaints) for item in node.value]
    return _scalar(node)  # type: ignore[arg-type] # the third kind there is


def _mapping(node: yaml.MappingNode, complaints: list[str]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _key(_value(key_node, complaints))
        value = _value(value_node, complaints)
        if key == _MERGE and not key_node.style:
            for source in value if isinstance(value, list) else [value]:
                merged = {**source, **merged} if isinstance(source, dict) else merged
            continue
        if key in out:
            complaints.append(f'line {key_node.start_mark.line + 1}: key "{key}" already set in map')
        out[key] = value
    return {**merged, **out}


def _key(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else str(value)


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    tag = str(node.tag)
    if node.style in ("'", '"', "|", ">") or tag == "tag:yaml.org,2002:str" and _is_explicit(node):
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    return _number(text) if text[0] in "+-.0123456789" else text


def _number(text: str) -> Any:
    """The number a plain scalar stands for, or the text when it is none."""
    digits = text.replace("_", "")
    if _INTEGER.fullmatch(digits):
        return _integer(digits)
    if _FLOAT.fullmatch(digits):
        number = float(digits)
        return int(number) if number.is_integer() and abs(number) < _LARGE else number
    return text


def _is_explicit(node: yaml.ScalarNode) -> bool:
    """Whether the tag stood in the text: a plain scalar that merely resolved to a string starts at its own text."""
    return bool(node.end_mark.index - node.start_mark.index > len(str(node.value)))


def _integer(text: str) -> int:
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return sign * int(digits, 8)
    return sign * int(digits, 0)
