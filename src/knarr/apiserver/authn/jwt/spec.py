"""What is known of an issuer: whom to trust, and who its tokens stand for."""

from __future__ import annotations

from dataclasses import dataclass

#: All algorithms by which an issuer may sign; those with a shared secret, and none, are not among them.
ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a part of a user comes from: a claim with a prefix for it, or an expression."""

    claim: str = ""
    prefix: str = ""
    expression: str = ""

    @property
    def given(self) -> bool:
        """Whether there is one."""
        return bool(self.claim or self.expression)


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold: an expression (with what to say where it does not), or the value of a claim."""

    expression: str = ""
    message: str = ""
    claim: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer. `authority` is PEM, empty for the system's."""

    url: str
    audiences: tuple[str, ...]
    username: Source
    groups: Source = Source()
    uid: Source = Source()
    extra: tuple[tuple[str, str], ...] = ()
    claim_rules: tuple[Rule, ...] = ()
    user_rules: tuple[Rule, ...] = ()
    discovery_url: str = ""
    authority: str = ""
    algorithms: tuple[str, ...] = ALGORITHMS

    @property
    def discovery(self) -> str:
        """Where its discovery document is."""
        return self.discovery_url or self.url.rstrip("/") + "/.well-known/openid-configuration"
