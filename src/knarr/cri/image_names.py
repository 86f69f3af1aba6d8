"""Image references: short names become full ones as Docker's and containerd's do.

https://github.com/distribution/reference
"""

from __future__ import annotations

import re

_DOMAIN = (
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])"
)
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)


class InvalidReference(ValueError):
    """A text that names no image; the message is the one users know."""


def normalise(image: str) -> str:
    """`nginx` gives `docker.io/library/nginx:latest`. Raises `InvalidReference`."""
    repository, tag, digest = split(image)
    if not tag and not digest:
        tag = "latest"
    return repository + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def split(image: str) -> tuple[str, str, str]:
    """(full repository, tag, digest); tag and digest may be empty. Raises `InvalidReference`."""
    domain, _, rest = image.partition("/")
    is_domain = bool(rest) and ("." in domain or ":" in domain or domain == "localhost" or domain.lower() != domain)
    if not is_domain:
        domain, rest = "docker.io", image
    if domain == "index.docker.io":
        domain = "docker.io"
    if domain == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    match = _REFERENCE.fullmatch(f"{domain}/{rest}")
    if match is None:
        problem = "invalid reference format"
        if rest.lower() != rest and _REFERENCE.fullmatch(f"{domain}/{rest.lower()}"):
            problem = "repository name must be lowercase"
            problem = f"invalid reference format: {problem}"
        raise InvalidReference(problem)
    return match["name"], match["tag"] or "", match["digest"] or ""


def pull_policy(image: str) -> str:
    """What an absent imagePullPolicy means: `Always` for the tag latest, else `IfNotPresent`."""
    _, tag, digest = split(image)
    return "Always" if not digest and tag in ("", "latest") else "IfNotPresent"
