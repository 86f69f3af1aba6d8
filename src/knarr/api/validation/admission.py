"""Webhook configurations: mutating and validating."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from knarr.api.validation import expressions, names
from knarr.api.validation.checks import Errors, items, one_of, required_name, required_text, texts
from knarr.api.validation.kind import META_AS_CREATED, Kind
from knarr.api.validation.selectors import check_label_selector
from knarr.apimachinery import field
from knarr.apimachinery.types import Object

OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_VERSIONS = ("v1", "v1beta1")
_SCOPES = ("*", "Cluster", "Namespaced")
_EFFECTS = ("None", "NoneOnDryRun")
_FORM = "desired format: https://host[/path]"
_MAX_CONDITIONS = 64
_REINVOCATION = ("IfNeeded", "Never")


def _mutating(errors: Errors, obj: Object) -> None:
    _check_hooks(errors, obj)
    for at, hook in enumerate(items(obj, "webhooks")):
        if hook.get("reinvocationPolicy") is not None:
            one_of(errors, f"webhooks[{at}].reinvocationPolicy", hook["reinvocationPolicy"], _REINVOCATION)


def _check_hooks(errors: Errors, obj: Object) -> None:
    seen: set[str] = set()
    for at, hook in enumerate(items(obj, "webhooks")):
        path, name = f"webhooks[{at}]", hook.get("name", "")
        _check_hook(errors, hook, path)
        _check_versions(errors, items(hook, "admissionReviewVersions"), f"{path}.admissionReviewVersions")
        if name in seen and name:
            errors.append(field.duplicate(f"{path}.name", name))
        seen.add(name)


def _check_hook(errors: Errors, hook: Object, path: str) -> None:
    name = hook.get("name", "")
    required_name(errors, f"{path}.name", name, names.fully_qualified)
    for at, rule in enumerate(items(hook, "rules")):
        check_rule(errors, rule, f"{path}.rules[{at}]")
    for key, known in (("failurePolicy", ("Fail", "Ignore")), ("matchPolicy", ("Equivalent", "Exact"))):
        if hook.get(key) is not None:
            one_of(errors, f"{path}.{key}", hook[key], known)
    effects = hook.get("sideEffects")
    if effects is None:
        errors.append(field.required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun"))
    else:
        one_of(errors, f"{path}.sideEffects", effects, _EFFECTS)
    timeout = hook.get("timeoutSeconds")
    if timeout is not None and not 1 <= timeout <= 30:
        wrong = "the timeout value must be between 1 and 30 seconds"
        errors.append(field.invalid(f"{path}.timeoutSeconds", timeout, wrong))
    for key in ("namespaceSelector", "objectSelector"):
        check_label_selector(errors, hook.get(key), f"{path}.{key}")
    _check_client(errors, hook.get("clientConfig") or {}, f"{path}.clientConfig")
    check_match_conditions(errors, items(hook, "matchConditions"), f"{path}.matchConditions")


def check_rule(errors: Errors, rule: Object, path: str) -> None:
    """Which requests a webhook or policy sees."""
    operations = items(rule, "operations")
    if not operations:
        errors.append(field.required(f"{path}.operations"))
    if len(operations) > 1 and "*" in operations:
        wrong = "if '*' is present, must not specify other operations"
        errors.append(field.invalid(f"{path}.operations", list(operations), wrong))
    for at, operation in enumerate(operations):
        one_of(errors, f"{path}.operations[{at}]", operation, OPERATIONS)
    for key in ("apiGroups", "apiVersions"):
        values = items(rule, key)
        if not values:
            errors.append(field.required(f"{path}.{key}"))
        if len(values) > 1 and "*" in values:
            what = "api groups" if key == "apiGroups" else "versions"
            wrong = f"if '*' is present, must not specify other {what}"
            errors.append(field.invalid(f"{path}.{key}", list(values), wrong))
    for at, version in enumerate(items(rule, "apiVersions")):
        if not version:
            errors.append(field.required(f"{path}.apiVersions[{at}]"))
    _check_resources(errors, items(rule, "resources"), f"{path}.resources")
    if rule.get("scope") is not None:
        one_of(errors, f"{path}.scope", rule["scope"], _SCOPES)


def _check_resources(errors: Errors, resources: Sequence[str], path: str) -> None:
    if not resources:
        errors.append(field.required(path))
    whole = {item.removesuffix("/*") for item in resources if item.endswith("/*")}
    parts = {item.removeprefix("*/") for item in resources if item.startswith("*/") and item != "*/*"}
    for at, item in enumerate(resources):
        here = f"{path}[{at}]"
        resource, slash, sub = item.partition("/")
        if not item:
            errors.append(field.required(here))
        elif slash and sub != "*" and resource in whole:
            wrong = f"if '{resource}/*' is present, must not specify {item}"
            errors.append(field.invalid(here, item, wrong))
        elif slash and resource != "*" and sub in parts:
            errors.append(field.invalid(here, item, f"if '*/{sub}' is present, must not specify {item}"))
    if len(resources) > 1 and "*/*" in resources:
        wrong = "if '*/*' is present, must not specify other resources"
        errors.append(field.invalid(path, list(resources), wrong))
    if "*" in resources and any("/" not in item and item != "*" for item in resources):
        wrong = "if '*' is present, must not specify other resources without subresources"
        errors.append(field.invalid(path, list(resources), wrong))


def _check_versions(errors: Errors, versions: Sequence[str], path: str) -> None:
    if not versions:
        errors.append(field.required(path, f"must specify one of {', '.join(_VERSIONS)}"))
        return
    known = False
    for at, version in enumerate(versions):
        if version in versions[:at]:
            errors.append(field.invalid(f"{path}[{at}]", version, "duplicate version"))
            continue
        texts(errors, f"{path}[{at}]", version, names.dns_1035_label(version))
        known = known or version in _VERSIONS
    if not known:
        wrong = f"must include at least one of {', '.join(_VERSIONS)}"
        errors.append(field.invalid(path, list(versions), wrong))


def _check_client(errors: Errors, config: Object, path: str) -> None:
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        errors.append(field.required(path, "exactly one of url or service is required"))
    if url is not None:
        check_url(errors, url, f"{path}.url")
    elif service is not None:
        check_service(errors, service, f"{path}.service")


def _url_fault(url: str) -> str:
    """What Go says of a text that is no URL at all; empty for one that is."""
    if any(char < " " or char == "\x7f" for char in url):
        return "net/url: invalid control character in URL"
    if url.startswith(":"):
        return "missing protocol scheme"
    head, colon, rest = url.partition(":")
    if not colon and not url.startswith("/") or not rest.startswith("/") and not _SCHEME.fullmatch(head):
        return "first path segment in URL cannot contain colon" if colon and "/" not in head else ""
    host = rest.removeprefix("//").partition("/")[0].rpartition("@")[2]
    bad = next((char for char in host if char in ' "<>\\^`{|}'), "")
    if bad:
        return f"invalid character {field.quote(bad)} in host name"
    name, separator, number = host.rpartition(":")
    if separator and "]" not in number and number and not number.isdecimal():
        return f"invalid port {field.quote(':' + number)} after host"
    try:
        urlsplit(url)
    except ValueError as error:
        return str(error)
    return ""


_SCHEME = re.compile("[a-zA-Z][a-zA-Z0-9+.-]*")


def check_url(errors: Errors, url: str, path: str) -> None:
    """A webhook's URL."""
    fault = _url_fault(url)
    if fault:
        errors.append(field.required(path, f"url must be a valid URL: parse {field.quote(url)}: {fault}; {_FORM}"))
        return
    parts = urlsplit(url)
    if parts.scheme != "https":
        wrong = f"'https' is the only allowed URL scheme; {_FORM}"
        errors.append(field.invalid(path, parts.scheme, wrong))
    if not parts.netloc:
        errors.append(field.invalid(path, parts.netloc, f"host must be specified; {_FORM}"))
    if parts.username is not None:
        wrong = f"user information is not permitted in the URL; {_FORM}"
        errors.append(field.invalid(path, parts.netloc.rpartition("@")[0], wrong))
    if parts.fragment:
        errors.append(field.invalid(path, parts.fragment, f"fragments are not permitted in the URL; {_FORM}"))
    if parts.query:
        wrong = f"query parameters are not permitted in the URL; {_FORM}"
        errors.append(field.invalid(path, parts.query, wrong))


def check_service(errors: Errors, service: Object, path: str) -> None:
    """The Service that answers for a webhook."""
    for key in ("name", "namespace"):
        required_text(errors, f"{path}.{key}", service.get(key))
    number = service.get("port", 443)
    for text in names.port_number(number):
        errors.append(field.invalid(f"{path}.port", number, f"port is not valid: {text}"))
    target = service.get("path")
    if target is None:
        return
    here = f"{path}.path"
    if target == "/" or not target:
        return
    if target == "//":
        errors.append(field.invalid(here, target, "segment[0] may not be empty"))
        return
    if not target.startswith("/"):
        errors.append(field.invalid(here, target, "must start with a '/'"))
    steps = target[1:].removesuffix("/").split("/")
    for at, step in enumerate(steps):
        if not step:
            errors.append(field.invalid(here, target, f"segment[{at}] may not be empty"))
            continue
        for text in names.dns_subdomain(step):
            errors.append(field.invalid(here, target, f"segment[{at}]: {text}"))


_IDENTIFIER = re.compile("[_a-zA-Z][_a-zA-Z0-9]*")


def check_match_conditions(errors: Errors, conditions: Sequence[Object], path: str, *, params: bool = False) -> None:
    """`matchConditions`; `params`: they may speak of a policy's parameters."""
    if len(conditions) > _MAX_CONDITIONS:
        errors.append(field.too_many(path, len(conditions), _MAX_CONDITIONS))
    seen: set[str] = set()
    for at, condition in enumerate(conditions):
        here, name = f"{path}[{at}]", condition.get("name", "")
        if not condition.get("expression", "").strip():
            errors.append(field.required(f"{here}.expression"))
        else:
            environment = expressions.admission_environment(params=params)
            expressions.check(errors, f"{here}.expression", condition["expression"], environment, ("bool",))
        if not name:
            errors.append(field.required(f"{here}.name"))
        elif name in seen:
            errors.append(field.duplicate(f"{here}.name", name))
        else:
            texts(errors, f"{here}.name", name, names.qualified_name(name))
        seen.add(name)


def is_identifier(name: str) -> bool:
    """Whether CEL can call a variable so."""
    return _IDENTIFIER.fullmatch(name) is not None and name not in _RESERVED


_RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop"}
    | {"namespace", "null", "package", "return", "true", "var", "void", "while"}
)

MUTATINGWEBHOOKCONFIGURATIONS = Kind(_mutating, update_meta=META_AS_CREATED)
VALIDATINGWEBHOOKCONFIGURATIONS = Kind(_check_hooks, update_meta=META_AS_CREATED)
