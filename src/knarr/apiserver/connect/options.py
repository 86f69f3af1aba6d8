"""The options of log, exec, attach and portforward, from the query to the kubelet's own query.

Input: query parameters. Output: typed options, checked as Kubernetes checks them; pairs for the kubelet's URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from knarr.apimachinery import field, timestamps
from knarr.apimachinery.errors import bad_request, invalid
from knarr.apimachinery.field import FieldError

Pairs = list[tuple[str, str]]
_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`PodLogOptions`. Seconds, lines and bytes are None when not asked for."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since_seconds: int | None = None
    since_time: str = ""
    tail_lines: int | None = None
    limit_bytes: int | None = None
    insecure: bool = False

    def pairs(self) -> Pairs:
        """The kubelet's query."""
        flags = [("follow", self.follow), ("previous", self.previous), ("timestamps", self.timestamps)]
        numbers = [
            ("sinceSeconds", self.since_seconds),
            ("tailLines", self.tail_lines),
            ("limitBytes", self.limit_bytes),
        ]
        out = [(name, "true") for name, wanted in flags if wanted]
        out += [(name, str(number)) for name, number in numbers if number is not None]
        return [*out, ("sinceTime", self.since_time)] if self.since_time else out


@dataclass(frozen=True, slots=True)
class ExecOptions:
    """`PodExecOptions`, and `PodAttachOptions` where there is no command."""

    container: str
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool
    command: tuple[str, ...] = ()

    def pairs(self) -> Pairs:
        """The kubelet's query."""
        flags = [("input", self.stdin), ("output", self.stdout), ("error", self.stderr), ("tty", self.tty)]
        return [(name, "1") for name, wanted in flags if wanted] + [("command", part) for part in self.command]


def log_options(query: Mapping[str, str], pod_name: str) -> LogOptions:
    """What a log request asks for. Raises `StatusError` 400 for what cannot be read, 422 for what makes no sense."""
    options = LogOptions(
        container=query.get("container", ""),
        follow=flag(query, "follow"),
        previous=flag(query, "previous"),
        timestamps=flag(query, "timestamps"),
        since_seconds=_number(query, "sinceSeconds"),
        since_time=_time(query.get("sinceTime", "")),
        tail_lines=_number(query, "tailLines"),
        limit_bytes=_number(query, "limitBytes"),
        insecure=flag(query, "insecureSkipTLSVerifyBackend"),
    )
    errors = log_errors(options)
    if errors:
        raise invalid("PodLogOptions", "", pod_name, errors)
    return options


def log_errors(options: LogOptions) -> list[FieldError]:
    """What is wrong with log options."""
    errors = []
    if options.tail_lines is not None and options.tail_lines < 0:
        errors.append(field.invalid("tailLines", options.tail_lines, "must be greater than or equal to 0"))
    if options.limit_bytes is not None and options.limit_bytes < 1:
        errors.append(field.invalid("limitBytes", options.limit_bytes, "must be greater than 0"))
    if options.since_seconds is not None and options.since_time:
        errors.append(field.forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    elif options.since_seconds is not None and options.since_seconds < 1:
        errors.append(field.invalid("sinceSeconds", options.since_seconds, "must be greater than 0"))
    return errors


def exec_options(query: Mapping[str, str], lists: Mapping[str, Sequence[str]], *, attach: bool) -> ExecOptions:
    """What an exec or attach request asks for. An attach wants standard output and error unless the query denies it."""
    return ExecOptions(
        container=query.get("container", ""),
        stdin=flag(query, "stdin"),
        stdout=flag(query, "stdout", default=attach),
        stderr=flag(query, "stderr", default=attach),
        tty=flag(query, "tty"),
        command=() if attach else tuple(lists.get("command", ())),
    )


def ports(lists: Mapping[str, Sequence[str]]) -> Pairs:
    """The ports of a port-forward request, for the kubelet. Raises `StatusError` 400."""
    given = [part for value in lists.get("ports", ()) for part in value.split(",")]
    for part in given:
        if not _NUMBER.fullmatch(part):
            raise bad_request(f"strconv.ParseInt: parsing {field.quote(part)}: invalid syntax")
    return [("port", ",".join(given))] if given else []


def flag(query: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """A boolean parameter: there, it is true unless it says `false` or `0`."""
    value = query.get(name)
    return default if value is None else value.lower() not in ("false", "0")


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise bad_request(f"strconv.ParseInt: parsing {field.quote(text)}: invalid syntax")
    return int(text)


def _time(text: str) -> str:
    """A time parameter in RFC 3339, as UTC; `""` for none. `null` counts as none."""
    if text in ("", "null"):
        return ""
    try:
        return timestamps.seconds(timestamps.parse(text))
    except ValueError as error:
        layout, quoted = field.quote("2006-01-02T15:04:05Z07:00"), field.quote(text)
        raise bad_request(
            f"parsing time {quoted} as {layout}: cannot parse {quoted} as {field.quote('2006')}"
        ) from error
