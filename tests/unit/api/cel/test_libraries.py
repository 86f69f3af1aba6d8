"""Kubernetes' libraries of functions."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.api.cel import Budget, BudgetExceeded, Environment, EvaluationError, program
from knarr.api.cel.functions.authorizer import Authorizer, Check, Decision, ResourceCheck

_ANY = Environment(
    (
        ("a", "dyn"),
        ("b", "dyn"),
        ("c", "dyn"),
        ("authorizer", "Authorizer"),
        ("authorizer.requestResource", "ResourceCheck"),
    ),
    constructs=("Object",),
)


def value(text: str, **given: Any) -> Any:
    made = program(text, _ANY)
    assert made.problem == ""
    return made.evaluate(given, Budget())


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2, 2].isSorted() && !['b', 'a'].isSorted() && [].map(x, 1).isSorted()",
        "[1, 2].sum() == 3 && [].map(x, 1.0).sum() == 0.0 && [1.5].sum() == 1.5 && [1u].sum() == 1u",
        "[duration('1h'), duration('30m')].sum() == duration('90m')",
        "[3, 1, 2].min() == 1 && ['a', 'b'].max() == 'b'",
        "[1, 2, 1].indexOf(1) == 0 && [1, 2, 1].lastIndexOf(1) == 2 && [1].indexOf(5) == -1",
        "[1, 2, 3].slice(1, 3) == [2, 3] && [[1], [2, 3]].flatten() == [1, 2, 3]",
        "[dyn(1), dyn([dyn(2), dyn([3])])].flatten(5) == [1, 2, 3]",
        "lists.range(3) == [0, 1, 2] && [1, 2].reverse() == [2, 1] && [1, 2, 1].distinct() == [1, 2]",
        "[3, 1, 2].sort() == [1, 2, 3] && [{'n': 2}, {'n': 1}].sortBy(e, e.n)[0].n == 1",
        "[1, 2].first().value() == 1 && ![].last().hasValue()",
        "sets.contains([1, 2], [2]) && sets.equivalent([1, 1], [1]) && !sets.intersects([1], [2])",
        "url('https://u@example.com:80/a%20b/c?x=1&x=2&y=#f').getHost() == 'example.com:80'",
        "url('https://example.com:80/a%20b?x=1&x=2').getQuery() == {'x': ['1', '2']}",
        "url('https://[::1]:80/').getHostname() == '::1' && url('https://[::1]:80/').getPort() == '80'",
        "url('/a b').getEscapedPath() == '/a%20b' && url('HTTP://x').getScheme() == 'http'",
        "url('https://user:pass@k.io:80/d/h?a=1&b=2#c').getHost() == 'k.io:80' && !isURL('https://a:b:c/')",
        "url('https://e.com/with space/').getEscapedPath() == '/with%20space/' && url('/').getQuery() == {}",
        "url('https://e.com/p?key with spaces=v w').getQuery() == {'key with spaces': ['v w']}",
        "dyn([]).sum() == 0 && dyn([1.0, 2.0]).sum() == 3.0 && [[1], [2]].indexOf([2]) == 1",
        "isURL('https://a') && isURL('/a') && !isURL('a/b') && !isURL('../x') && !isURL('https://a:b')",
        "quantity('1.5Gi').isGreaterThan(quantity('1Gi')) && quantity('1k') == quantity('1000')",
        "quantity('50k').add(20).sub(quantity('20')).asInteger() == 50000 && quantity('-1').sign() == -1",
        "!quantity('1500m').isInteger() && !quantity('1.0').isInteger() && !quantity('0.5Gi').isInteger()",
        "quantity('1500m').asApproximateFloat() == 1.5 && !isQuantity('1X')",
        "quantity('1').compareTo(quantity('2')) == -1 && quantity('2').isLessThan(quantity('3'))",
        "ip('::1').family() == 6 && ip('127.0.0.1').isLoopback() && string(ip('2001:DB8::1')) == '2001:db8::1'",
        "ip.isCanonical('2001:db8::1') && !ip.isCanonical('2001:DB8::1') && !isIP('1.2.3')",
        "!isIP('01.2.3.4') && !isIP('::ffff:1.2.3.4')",
        "ip('8.8.8.8').isGlobalUnicast() && ip('224.0.0.1').isLinkLocalMulticast()",
        "cidr('192.168.0.0/24').containsIP('192.168.0.1') && !cidr('10.0.0.0/8').containsIP(ip('::1'))",
        "cidr('192.168.0.0/24').containsCIDR('192.168.0.1/25') && string(cidr('10.1.2.3/8').masked()) == '10.0.0.0/8'",
        "cidr('::1/24').prefixLength() == 24 && cidr('10.1.2.3/8').ip() == ip('10.1.2.3') && !isCIDR('10.0.0.0/33')",
        "semver('1.2.3-rc.1').isLessThan(semver('1.2.3')) && semver('v01.2', true) == semver('1.2.0')",
        "semver('1.10.0').compareTo(semver('1.9.0')) == 1 && semver('1.2.3+build').patch() == 3 && !isSemver('1.0')",
        "'%s is %d, %.2f, %x %b %o %s'.format([dyn('a'), 5, 1.005, 255, 5, 8, [dyn(1), 'x', 1.5]])"
        " == 'a is 5, 1.00, ff 101 10 [1, \"x\", 1.500000]'",
        "'%s %s %s'.format([dyn({'b': dyn(1), 'a': true}), null, duration('1h')])"
        ' == \'{"a":true, "b":1} null 3600s\'',
        "strings.quote('a\"\\n') == '\"a\\\\\"\\\\n\"'",
        "!format.dns1123Label().validate('a-b').hasValue() && format.named('uuid').hasValue()",
        "format.dns1123Label().validate('A').value()[0].startsWith('a lowercase RFC 1123 label')",
        "!format.named('x').hasValue() && format.date().validate('2024-02-30').value() == ['invalid date']",
        "!format.dns1123LabelPrefix().validate('a-').hasValue() && format.byte().validate('x').hasValue()",
        "jsonpatch.escapeKey('a/b~c') == 'a~1b~0c'",
        "type(quantity('1')) != type(ip('::1')) && type(ip('::1')) == net.IP",
        "timestamp('2024-07-01T12:00:00Z').getHours('Europe/Berlin') == 14",
    ],
)
def test_libraries_work(text: str) -> None:
    assert value(text) is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quantity(a)", "quantities must match the regular expression"),
        ("ip(a)", 'IP Address "x" parse error during conversion from string: ParseAddr("x"): unable to parse IP'),
        ("cidr(a)", "network address parse error during conversion from string: netip.ParsePrefix(\"x\"): no '/'"),
        ("url(a)", 'URL parse error during conversion from string: parse "x": invalid URI for request'),
        ("semver(a)", "No Major.Minor.Patch elements found"),
        ("[].map(x, 1).max()", "max called on empty list"),
        ("[1].slice(0, 2)", "cannot slice(0, 2), list is length 1"),
        ("'%d'.format([a])", "error during formatting: decimal clause can only be used on integers, was given string"),
        ("dyn('%q').format([a])", 'could not parse formatting clause: unrecognized formatting clause "q"'),
        ("dyn('%s').format([])", "index 0 out of range"),
        ("a.isSorted()", "no such overload: isSorted(string)"),
        ("authorizer.path('')", "path must not be empty"),
    ],
)
def test_libraries_say_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        value(text, a="x", authorizer=Authorizer("u", lambda check: Decision(allowed=False)))
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("text", ["int(a)", "uint(a)", "duration(a + 's')", "semver(a + '.0.0')", "cidr('::/' + a)"])
def test_numbers_of_any_length_are_refused(text: str) -> None:
    with pytest.raises(EvaluationError):
        value(text, a="9" * 100_000)


def test_authorizers_are_asked() -> None:
    asked: list[Check] = []

    def decide(check: Check) -> Decision:
        asked.append(check)
        return Decision(allowed=check.verb == "get", reason="because")

    given = {
        "authorizer": Authorizer("jane", decide),
        "authorizer.requestResource": ResourceCheck(decide, Check("jane", resource="pods", namespace="n")),
    }
    text = "authorizer.group('apps').resource('deployments').subresource('scale').namespace('n').name('d').check('get')"
    assert value(f"{text}.allowed()", **given) is True
    assert value("authorizer.requestResource.check('delete').reason()", **given) == "because"
    assert value("authorizer.serviceAccount('n', 'sa').path('/healthz').check('get').allowed()", **given) is True
    assert [(check.group, check.resource, check.subresource, check.verb) for check in asked[:2]] == [
        ("apps", "deployments", "scale", "get"),
        ("", "pods", "", "delete"),
    ]
    assert (asked[2].user.name, asked[2].path) == ("sa", "/healthz")


@pytest.mark.parametrize(
    "text",
    [
        "lists.range(1000000000).size() > 0",
        "a.replace('', a).replace('', a).replace('', a).size() > 0",
        "[a].map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x)"
        ".map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).map(x, x + x).size() > 0",
        "lists.range(100000).map(x, a.matches('(a*)*b')).size() > 0",
        "lists.range(900).distinct().size() > 0",
        "b.filter(x, b.filter(y, b.filter(z, false).size() > 0).size() > 0).size() > 0",
        "b.exists(x, [b] == [b + [1]] || b == c || c == b)",
        "b.map(x, [b]).all(x, [c] in [x] || true)",
    ],
)
def test_what_grows_without_end_is_stopped(text: str) -> None:
    with pytest.raises(BudgetExceeded):
        value(text, a="a" * 20_000, b=list(range(50_000)), c=[*range(49_999), -1])
