"""The rules of a schema, compiled where objects first have values for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from knarr.api.cel import Environment, Program, program, schema_environment
from knarr.api.cel.nodes import Node as Expression
from knarr.api.structural.node import Node
from knarr.api.structural.rule_paths import field_path
from knarr.apimachinery.types import Object

KEYWORD = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the expression that must hold, and what is said of a value for which it does not.

    `told` is how errors name the rule; `message` an expression for the text; `below` the path from the value to the
    field that errors point at, empty for the value itself.
    """

    program: Program
    told: str
    default_message: str
    asks_old: bool
    optional_old: bool
    message: Program | None
    reason: str
    below: str


class RuleTree:
    """The rules of a node and of the nodes inside of it; of those without rules there is nothing."""

    def __init__(self, node: Node, *, whole: bool = False) -> None:
        self.node = node
        self._whole = whole or node.embedded
        self._fields: dict[str, RuleTree] = {}

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The node's own rules."""
        given = [rule for rule in self.node.schema.get(KEYWORD) or () if rule.get("rule", "").strip()]
        if not given:
            return ()
        made = {wanted: self._environment(wanted) for wanted in {bool(rule.get("optionalOldSelf")) for rule in given}}
        return tuple(_rule(rule, made[bool(rule.get("optionalOldSelf"))], self.node) for rule in given)

    def compiled(self, rule: Object, name: str) -> Program:
        """The program of a rule (`rule`), or of what makes its message (`messageExpression`)."""
        return program(rule[name], self._environment(bool(rule.get("optionalOldSelf"))))

    def asks_old(self, rule: Object) -> bool:
        """Whether a rule asks for the old value; of one that does not compile nothing is known."""
        return _asks(self.compiled(rule, "rule").root, "oldSelf")

    def _environment(self, optional_old: bool) -> Environment:  # noqa: FBT001
        return schema_environment(self.node.schema, root=self._whole, optional_old=optional_old)

    def field(self, name: str) -> RuleTree | None:
        """The rules of a declared field."""
        found = self._fields.get(name)
        if found is None:
            made = _tree(self.node.field(name))
            if made is None:
                return None
            found = self._fields[name] = made
        return found

    @cached_property
    def items(self) -> RuleTree | None:
        """The rules of a list's items."""
        return _tree(self.node.items)

    @cached_property
    def extra(self) -> RuleTree | None:
        """The rules of a map's values."""
        return _tree(self.node.extra)


def _tree(node: Node | None) -> RuleTree | None:
    return None if node is None or not node.has_below(KEYWORD) else RuleTree(node)


def _rule(given: Object, environment: Environment, node: Node) -> Rule:
    text, message = given["rule"], given.get("message", "").strip()
    made = program(text, environment)
    expression = given.get("messageExpression") or ""
    told = message or text.strip()
    return Rule(
        program=made,
        told=told,
        default_message=message or f"failed rule: {told}",
        asks_old=_asks(made.root, "oldSelf"),
        optional_old=bool(given.get("optionalOldSelf")),
        message=program(expression, environment) if expression.strip() else None,
        reason=given.get("reason") or "",
        below=field_path(node.schema, given.get("fieldPath") or "").text,
    )


def _asks(root: Expression | None, name: str) -> bool:
    """Whether an expression refers to a variable."""
    waiting = [] if root is None else [root]
    while waiting:
        one = waiting.pop()
        if one.kind == "ident" and one.name == name:
            return True
        waiting.extend(one.below)
    return False
