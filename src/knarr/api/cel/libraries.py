"""The functions that Kubernetes adds to CEL, as declarations: names and types.

One line a function: name, receiver (`-` for none), parameters, result.
https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries
"""

from __future__ import annotations

from typing import Any

_FUNCTIONS = """
quantity           - string Quantity
isQuantity         - string bool
sign               Quantity . int
isInteger          Quantity . bool
asInteger          Quantity . int
asApproximateFloat Quantity . double
isGreaterThan      Quantity Quantity bool
isLessThan         Quantity Quantity bool
compareTo          Quantity Quantity int
add                Quantity Quantity Quantity
add                Quantity int Quantity
sub                Quantity Quantity Quantity
sub                Quantity int Quantity
url                - string URL
isURL              - string bool
getScheme          URL . string
getHost            URL . string
getHostname        URL . string
getPort            URL . string
getEscapedPath     URL . string
getQuery           URL . dyn
ip                 - string IP
isIP               - string bool
ip.isCanonical     - string bool
family             IP . int
isUnspecified      IP . bool
isLoopback         IP . bool
isLinkLocalMulticast IP . bool
isLinkLocalUnicast IP . bool
isGlobalUnicast    IP . bool
cidr               - string CIDR
isCIDR             - string bool
containsIP         CIDR IP bool
containsIP         CIDR string bool
containsCIDR       CIDR CIDR bool
containsCIDR       CIDR string bool
ip                 CIDR . IP
masked             CIDR . CIDR
prefixLength       CIDR . int
semver             - string Semver
semver             - string,bool Semver
isSemver           - string bool
isSemver           - string,bool bool
major              Semver . int
minor              Semver . int
patch              Semver . int
isGreaterThan      Semver Semver bool
isLessThan         Semver Semver bool
compareTo          Semver Semver int
format.named       - string dyn
validate           dyn string dyn
find               string string string
findAll            string string list
findAll            string string,int list
isSorted           list . bool
sum                list . dyn
min                list . dyn
max                list . dyn
indexOf            list dyn int
lastIndexOf        list dyn int
includes           list dyn bool
sets.contains      - list,list bool
sets.equivalent    - list,list bool
sets.intersects    - list,list bool
path               Authorizer string PathCheck
group              Authorizer string GroupCheck
serviceAccount     Authorizer string,string Authorizer
requestResource    Authorizer . ResourceCheck
resource           GroupCheck string ResourceCheck
subresource        ResourceCheck string ResourceCheck
namespace          ResourceCheck string ResourceCheck
name               ResourceCheck string ResourceCheck
fieldSelector      ResourceCheck string ResourceCheck
labelSelector      ResourceCheck string ResourceCheck
check              ResourceCheck string Decision
check              PathCheck string Decision
allowed            Decision . bool
reason             Decision . string
errored            Decision . bool
error              Decision . string
jsonpatch.escapeKey - string string
charAt             string int string
indexOf            string string int
indexOf            string string,int int
lastIndexOf        string string int
lastIndexOf        string string,int int
join               list . string
join               list string string
lowerAscii         string . string
upperAscii         string . string
replace            string string,string string
replace            string string,string,int string
split              string string list<string>
split              string string,int list<string>
substring          string int string
substring          string int,int string
trim               string . string
reverse            string . string
format             string list string
strings.quote      - string string
"""
#: The full names of Kubernetes' types.
_TYPES = {
    "Quantity": "kubernetes.Quantity",
    "URL": "kubernetes.URL",
    "IP": "net.IP",
    "CIDR": "net.CIDR",
    "Semver": "kubernetes.Semver",
    "Authorizer": "kubernetes.authorization.Authorizer",
    "PathCheck": "kubernetes.authorization.PathCheck",
    "GroupCheck": "kubernetes.authorization.GroupCheck",
    "ResourceCheck": "kubernetes.authorization.ResourceCheck",
    "Decision": "kubernetes.authorization.Decision",
}
#: Signatures of `cel` types that are not Kubernetes' own: `list<string>`, `map<string, dyn>`.
PLAIN = ("string", "bool", "int", "uint", "double", "bytes", "list", "map", "dyn", "timestamp", "duration")


def type_of(cel: Any, name: str) -> Any:
    """The type of that name: `string`, `list<string>`, `map<int>` with string keys, `Quantity`.

    Names as expressions have them (`list(string)`, `map(string, int)`) are fine too; unknown ones are `dyn`.
    """
    name = name.replace("(string, ", "<").replace("(", "<").replace(")", ">")
    outer, _, inner = name.partition("<")
    if inner and outer == "list":
        return cel.Type.List(type_of(cel, inner[:-1]))
    if outer == "map" and inner and "," not in inner:
        return cel.Type.Map(cel.Type.STRING, type_of(cel, inner[:-1]))
    if name in PLAIN:
        return getattr(cel.Type, name.upper())
    known = _TYPES.get(name, name)
    return cel.Type.AbstractType(known) if known in _TYPES.values() else cel.Type.DYN


def functions(cel: Any) -> list[Any]:
    """All declarations."""
    found: dict[str, list[Any]] = {}
    for at, line in enumerate(_FUNCTIONS.strip().splitlines()):
        name, receiver, listed, result = line.split()
        given = [type_of(cel, part) for part in listed.split(",")] if listed != "." else []
        member = receiver != "-"
        parameters = [type_of(cel, receiver), *given] if member else given
        overload = cel.Overload(f"k8s_{at}", type_of(cel, result), parameters, is_member=member)
        found.setdefault(name, []).append(overload)
    return [cel.FunctionDecl(name, overloads) for name, overloads in found.items()]
