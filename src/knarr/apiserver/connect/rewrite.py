"""Links of a proxied page, rewritten so that they lead through the proxy again.

Input: the path that stands before a backend's own paths, the hosts that mean the backend; HTML piece by piece.
Output: rewritten links and HTML. Source: k8s.io/apimachinery/pkg/util/proxy (Transport).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape, unescape
from urllib.parse import urlsplit

#: Which attributes of which elements hold links.
_LINKS: Mapping[str, frozenset[str]] = {
    "a": frozenset({"href"}),
    "applet": frozenset({"codebase"}),
    "area": frozenset({"href"}),
    "audio": frozenset({"src"}),
    "base": frozenset({"href"}),
    "blockquote": frozenset({"cite"}),
    "body": frozenset({"background"}),
    "button": frozenset({"formaction"}),
    "command": frozenset({"icon"}),
    "del": frozenset({"cite"}),
    "embed": frozenset({"src"}),
    "form": frozenset({"action"}),
    "frame": frozenset({"longdesc", "src"}),
    "head": frozenset({"profile"}),
    "html": frozenset({"manifest"}),
    "iframe": frozenset({"longdesc", "src"}),
    "img": frozenset({"longdesc", "src", "usemap"}),
    "input": frozenset({"src", "usemap", "formaction"}),
    "ins": frozenset({"cite"}),
    "link": frozenset({"href"}),
    "object": frozenset({"classid", "codebase", "data", "usemap"}),
    "q": frozenset({"cite"}),
    "script": frozenset({"src"}),
    "source": frozenset({"src"}),
    "video": frozenset({"poster", "src"}),
}
_TAG = re.compile(rb"<([A-Za-z][A-Za-z0-9]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>")
_ATTRIBUTE = re.compile(rb"([A-Za-z]+)(\s*=\s*)(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'=<>`]+))")
#: Bytes a tag may have; what is longer passes as it is.
_LONGEST_TAG = 64 * 1024


@dataclass(frozen=True, slots=True)
class Links:
    """Rewrites one backend's links. `prefix` is the proxy's path without a slash at its end."""

    prefix: str
    backend: str
    requested: str

    def rewrite(self, link: str) -> str:
        """A link as it leads through the proxy. Relative ones and those to other hosts stay."""
        try:
            url = urlsplit(link)
        except ValueError:
            return link
        elsewhere = url.netloc not in ("", self.backend, self.requested)
        if elsewhere or not url.path.startswith("/"):
            return link
        if not (url.netloc and url.netloc == self.requested):
            url = url._replace(scheme="", netloc="")
        if url.path.startswith(self.prefix):
            return url.geturl()
        path = posixpath.normpath(f"{self.prefix}/{url.path}")
        return url._replace(path=path + "/" if url.path.endswith("/") and not path.endswith("/") else path).geturl()


class Html:
    """Rewrites the links of a page that comes in pieces."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """What can be passed on of the page so far: everything before a tag that has not ended."""
        data = self._rest + data
        start = data.rfind(b"<")
        whole = start < 0 or b">" in data[start:] or len(data) - start > _LONGEST_TAG
        end = len(data) if whole else start
        self._rest = data[end:]
        return _TAG.sub(self._tag, data[:end])

    def finish(self) -> bytes:
        """The rest."""
        rest, self._rest = self._rest, b""
        return rest

    def _tag(self, match: re.Match[bytes]) -> bytes:
        names = _LINKS.get(match[1].decode().lower())
        if names is None:
            return match[0]

        def attribute(found: re.Match[bytes]) -> bytes:
            if found[1].decode().lower() not in names:
                return found[0]
            value = next(group for group in (found[3], found[4], found[5]) if group is not None)
            link = unescape(value.decode("utf-8", "surrogateescape"))
            changed = self._links.rewrite(link)
            if changed == link:
                return found[0]
            return found[1] + found[2] + b'"' + escape(changed).encode("utf-8", "surrogateescape") + b'"'

        return b"<" + match[1] + _ATTRIBUTE.sub(attribute, match[2]) + b">"
