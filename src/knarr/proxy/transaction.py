"""The text of one nftables transaction that turns what is loaded into what is wanted.

Input: two `Ruleset` values. Output: text for `nft -f -`, which applies all of it or nothing; empty if nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from knarr.proxy.ruleset import TABLE, Chain, Ruleset

#: Elements in one `add element`; long lists are quicker than many commands, but lines must stay bounded.
_BATCH = 500


def replace(wanted: Ruleset) -> str:
    """Load a ruleset whatever stands there now."""
    table = f"{wanted.family} {TABLE}"
    empty = Ruleset(wanted.family, {}, {}, {})
    return f"add table {table}\ndelete table {table}\nadd table {table}\n{change(empty, wanted)}"


def remove(family: str) -> str:
    """Take the table away; no error if there is none."""
    return f"add table {family} {TABLE}\ndelete table {family} {TABLE}\n"


def change(loaded: Ruleset, wanted: Ruleset) -> str:
    """The smallest transaction in elements; a chain with any other rule is written anew."""
    table = f"{wanted.family} {TABLE}"
    lines: list[str] = []
    for name, declaration in wanted.sets.items():
        if name not in loaded.sets:
            kind, _, body = declaration.partition(" ")
            lines.append(f"add {kind} {table} {name} {body}")
    lines += _add_chains(table, loaded.chains, wanted.chains)
    lines += _change_elements(table, loaded.elements, wanted.elements)
    gone = [name for name in loaded.chains if name not in wanted.chains]
    lines += [f"flush chain {table} {name}" for name in gone]
    lines += [f"delete chain {table} {name}" for name in gone]
    for name, declaration in loaded.sets.items():
        if name not in wanted.sets:
            lines.append(f"delete {declaration.partition(' ')[0]} {table} {name}")
    return "\n".join(lines) + "\n" if lines else ""


def _add_chains(table: str, loaded: Mapping[str, Chain], wanted: Mapping[str, Chain]) -> list[str]:
    changed = {name: chain for name, chain in wanted.items() if loaded.get(name) != chain}
    lines = []
    for name, chain in changed.items():
        if name in loaded:
            lines.append(f"flush chain {table} {name}")
        else:
            lines.append(f"add chain {table} {name}" + (f" {{ {chain.hook} }}" if chain.hook else ""))
    lines += [f"add rule {table} {name} {rule}" for name, chain in changed.items() for rule in chain.rules]
    return lines


def _change_elements(
    table: str, loaded: Mapping[str, Mapping[str, str]], wanted: Mapping[str, Mapping[str, str]]
) -> list[str]:
    removed: list[str] = []
    added: list[str] = []
    for name in {**loaded, **wanted}:
        old, new = loaded.get(name, {}), wanted.get(name, {})
        if old is new or old == new:
            continue
        gone = [key for key, value in old.items() if new.get(key) != value]
        come = [f"{key} : {value}" if value else key for key, value in new.items() if old.get(key) != value]
        removed += _batches("delete", table, name, gone)
        added += _batches("add", table, name, come)
    return removed + added


def _batches(verb: str, table: str, name: str, elements: list[str]) -> Iterable[str]:
    for start in range(0, len(elements), _BATCH):
        yield f"{verb} element {table} {name} {{ {', '.join(elements[start : start + _BATCH])} }}"
