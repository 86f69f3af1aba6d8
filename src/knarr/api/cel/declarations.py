"""The functions of Kubernetes' CEL: names, types and the identities of their overloads.

One line an overload: identity, name, receiver (`-` for none), parameters (`.` for none), result. Sources:
https://github.com/google/cel-spec/blob/master/doc/langdef.md#list-of-standard-definitions and
https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from knarr.api.cel.types import Type, parse, split

_STANDARD = """
conditional _?_:_ - bool,T,T T
logical_and _&&_ - bool,bool bool
logical_or _||_ - bool,bool bool
logical_not !_ - bool bool
not_strictly_false @not_strictly_false - bool bool
equals _==_ - T,T bool
not_equals _!=_ - T,T bool
in_list @in - T,list<T> bool
in_map @in - A,map<A,B> bool
index_list _[_] - list<T>,int T
index_map _[_] - map<A,B>,A B
list_optindex_optional_int _[?_] - list<T>,int optional<T>
optional_list_optindex_optional_int _[?_] - optional<list<T>>,int optional<T>
map_optindex_optional_value _[?_] - map<A,B>,A optional<B>
optional_map_optindex_optional_value _[?_] - optional<map<A,B>>,A optional<B>
optional_list_index_int _[_] - optional<list<T>>,int optional<T>
optional_map_index_value _[_] - optional<map<A,B>>,A optional<B>
size_bytes size - bytes int
bytes_size size bytes . int
size_list size - list<T> int
list_size size list<T> . int
size_map size - map<A,B> int
map_size size map<A,B> . int
size_string size - string int
string_size size string . int
contains_string contains string string bool
ends_with_string endsWith string string bool
starts_with_string startsWith string string bool
matches matches - string,string bool
matches_string matches string string bool
bool_to_bool bool - bool bool
string_to_bool bool - string bool
bytes_to_bytes bytes - bytes bytes
string_to_bytes bytes - string bytes
double_to_double double - double double
int64_to_double double - int double
string_to_double double - string double
uint64_to_double double - uint double
duration_to_duration duration - duration duration
int64_to_duration duration - int duration
string_to_duration duration - string duration
to_dyn dyn - T dyn
int64_to_int64 int - int int
double_to_int64 int - double int
duration_to_int64 int - duration int
string_to_int64 int - string int
timestamp_to_int64 int - timestamp int
uint64_to_int64 int - uint int
string_to_string string - string string
bool_to_string string - bool string
bytes_to_string string - bytes string
double_to_string string - double string
duration_to_string string - duration string
int64_to_string string - int string
timestamp_to_string string - timestamp string
uint64_to_string string - uint string
timestamp_to_timestamp timestamp - timestamp timestamp
int64_to_timestamp timestamp - int timestamp
string_to_timestamp timestamp - string timestamp
type type - T type<T>
uint64_to_uint64 uint - uint uint
double_to_uint64 uint - double uint
int64_to_uint64 uint - int uint
string_to_uint64 uint - string uint
duration_to_hours getHours duration . int
duration_to_minutes getMinutes duration . int
duration_to_seconds getSeconds duration . int
duration_to_milliseconds getMilliseconds duration . int
add_bytes _+_ - bytes,bytes bytes
add_double _+_ - double,double double
add_duration_duration _+_ - duration,duration duration
add_duration_timestamp _+_ - duration,timestamp timestamp
add_timestamp_duration _+_ - timestamp,duration timestamp
add_int64 _+_ - int,int int
add_list _+_ - list<T>,list<T> list<T>
add_string _+_ - string,string string
add_uint64 _+_ - uint,uint uint
subtract_double _-_ - double,double double
subtract_duration_duration _-_ - duration,duration duration
subtract_int64 _-_ - int,int int
subtract_timestamp_duration _-_ - timestamp,duration timestamp
subtract_timestamp_timestamp _-_ - timestamp,timestamp duration
subtract_uint64 _-_ - uint,uint uint
multiply_double _*_ - double,double double
multiply_int64 _*_ - int,int int
multiply_uint64 _*_ - uint,uint uint
divide_double _/_ - double,double double
divide_int64 _/_ - int,int int
divide_uint64 _/_ - uint,uint uint
modulo_int64 _%_ - int,int int
modulo_uint64 _%_ - uint,uint uint
negate_double -_ - double double
negate_int64 -_ - int int
"""
_OPTIONALS = """
optional_of optional.of - V optional<V>
optional_ofNonZeroValue optional.ofNonZeroValue - V optional<V>
optional_none optional.none - . optional<V>
optional_value value optional<V> . V
optional_hasValue hasValue optional<V> . bool
optional_or_optional or optional<V> optional<V> optional<V>
optional_orValue_value orValue optional<V> V V
optional_unwrap optional.unwrap - list<optional<V>> list<V>
optional_unwrapOpt unwrapOpt list<optional<V>> . list<V>
list_first first list<V> . optional<V>
list_last last list<V> . optional<V>
map_insert_map cel.@mapInsert - map<A,B>,map<A,B> map<A,B>
map_insert_key_value cel.@mapInsert - map<A,B>,A,B map<A,B>
"""
_STRINGS = """
string_char_at_int charAt string int string
string_index_of_string indexOf string string int
string_index_of_string_int indexOf string string,int int
string_last_index_of_string lastIndexOf string string int
string_last_index_of_string_int lastIndexOf string string,int int
string_lower_ascii lowerAscii string . string
string_upper_ascii upperAscii string . string
string_replace_string_string replace string string,string string
string_replace_string_string_int replace string string,string,int string
stringsplit_string split string string list<string>
stringsplit_string_int split string string,int list<string>
string_substring_int substring string int string
string_substring_int_int substring string int,int string
string_trim trim string . string
string_format format string list<dyn> string
strings_quote strings.quote - string string
list_join join list<string> . string
list_join_string join list<string> string string
"""
_LISTS = """
list_contains_list sets.contains - list<T>,list<T> bool
list_equivalent_list sets.equivalent - list<T>,list<T> bool
list_intersects_list sets.intersects - list<T>,list<T> bool
list_a_index_of_int indexOf list<T> T int
list_a_last_index_of_int lastIndexOf list<T> T int
list_slice slice list<T> int,int list<T>
list_flatten flatten list<list<T>> . list<T>
list_flatten_int flatten list<dyn> int list<dyn>
lists_range lists.range - int list<int>
list_distinct distinct list<T> . list<T>
list_reverse reverse list<T> . list<T>
"""
_REGEX = """
string_find_string find string string string
string_find_all_string findAll string string list<string>
string_find_all_string_int findAll string string,int list<string>
"""
_URLS = """
string_to_url url - string URL
is_url_string isURL - string bool
url_get_scheme getScheme URL . string
url_get_host getHost URL . string
url_get_hostname getHostname URL . string
url_get_port getPort URL . string
url_get_escaped_path getEscapedPath URL . string
url_get_query getQuery URL . map<string,list<string>>
"""
_QUANTITIES = """
string_to_quantity quantity - string Quantity
is_quantity_string isQuantity - string bool
quantity_sign sign Quantity . int
quantity_is_integer isInteger Quantity . bool
quantity_get_int asInteger Quantity . int
quantity_get_float asApproximateFloat Quantity . double
quantity_is_greater_than isGreaterThan Quantity Quantity bool
quantity_is_less_than isLessThan Quantity Quantity bool
quantity_compare_to compareTo Quantity Quantity int
quantity_add add Quantity Quantity Quantity
quantity_add_int add Quantity int Quantity
quantity_sub sub Quantity Quantity Quantity
quantity_sub_int sub Quantity int Quantity
"""
_NETWORK = """
string_to_ip ip - string IP
cidr_ip ip CIDR . IP
ip_is_canonical ip.isCanonical - string bool
is_ip isIP - string bool
ip_family family IP . int
ip_is_unspecified isUnspecified IP . bool
ip_is_loopback isLoopback IP . bool
ip_is_link_local_multicast isLinkLocalMulticast IP . bool
ip_is_link_local_unicast isLinkLocalUnicast IP . bool
ip_is_global_unicast isGlobalUnicast IP . bool
ip_to_string string - IP string
string_to_cidr cidr - string CIDR
is_cidr isCIDR - string bool
cidr_contains_ip_string containsIP CIDR string bool
cidr_contains_ip_ip containsIP CIDR IP bool
cidr_contains_cidr_string containsCIDR CIDR string bool
cidr_contains_cidr containsCIDR CIDR CIDR bool
cidr_prefix_length prefixLength CIDR . int
cidr_masked masked CIDR . CIDR
cidr_to_string string - CIDR string
"""
_SEMVER = """
string_to_semver semver - string Semver
string_bool_to_semver semver - string,bool Semver
is_semver_string isSemver - string bool
is_semver_string_bool isSemver - string,bool bool
semver_major major Semver . int
semver_minor minor Semver . int
semver_patch patch Semver . int
semver_is_greater_than isGreaterThan Semver Semver bool
semver_is_less_than isLessThan Semver Semver bool
semver_compare_to compareTo Semver Semver int
"""
_AUTHORIZER = """
authorizer_path path Authorizer string PathCheck
authorizer_group group Authorizer string GroupCheck
authorizer_serviceaccount serviceAccount Authorizer string,string Authorizer
groupcheck_resource resource GroupCheck string ResourceCheck
resourcecheck_subresource subresource ResourceCheck string ResourceCheck
resourcecheck_namespace namespace ResourceCheck string ResourceCheck
resourcecheck_name name ResourceCheck string ResourceCheck
resourcecheck_fieldselector fieldSelector ResourceCheck string ResourceCheck
resourcecheck_labelselector labelSelector ResourceCheck string ResourceCheck
resourcecheck_check check ResourceCheck string Decision
pathcheck_check check PathCheck string Decision
decision_allowed allowed Decision . bool
decision_reason reason Decision . string
decision_errored errored Decision . bool
decision_error error Decision . string
"""
_FORMATS = """
format-named format.named - string optional<Format>
format-validate validate Format string optional<list<string>>
"""
_PATCHES = "jsonpatch_escapeKey_string_string jsonpatch.escapeKey - string string\n"
_DEVICES = "dra_includes_dyn_dyn includes dyn dyn bool\n"
_LITERAL_FORMATS = ("dns1123Label", "dns1123Subdomain", "dns1035Label", "qualifiedName", "dns1123LabelPrefix") + (
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
)
_COMPARABLE = ("bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration")
_ORDER = {"<": "less", "<=": "less_equals", ">": "greater", ">=": "greater_equals"}
_WORDS = {"int": "int64", "uint": "uint64"}
_PARTS = ("FullYear", "Month", "DayOfYear", "DayOfMonth", "Date", "DayOfWeek", "Hours", "Minutes", "Seconds")
_SUMMED = ("int", "uint", "double", "duration")


@dataclass(frozen=True, slots=True)
class Overload:
    """One meaning of a function."""

    id: str
    member: bool
    parameters: tuple[Type, ...]
    result: Type
    generic: bool


def _comparisons() -> str:
    lines = []
    for sign, word in _ORDER.items():
        pairs = [(kind, kind) for kind in _COMPARABLE]
        pairs += [(left, right) for left in ("int", "uint", "double") for right in ("int", "uint", "double")]
        for left, right in dict.fromkeys(pairs):
            ends = _WORDS.get(left, left) if left == right else f"{_WORDS.get(left, left)}_{_WORDS.get(right, right)}"
            lines.append(f"{word}_{ends} _{sign}_ - {left},{right} bool")
    return "\n".join(lines)


def _times() -> str:
    parts = [*_PARTS, "Milliseconds"]
    lines = [f"timestamp_to_{part} get{part} timestamp . int" for part in parts]
    return "\n".join([*lines, *(f"timestamp_to_{part}_with_tz get{part} timestamp string int" for part in parts)])


def _aggregates() -> str:
    lines = [f"list_{kind}_is_sorted_bool isSorted list<{kind}> . bool" for kind in _COMPARABLE]
    for name in ("max", "min"):
        lines += [f"list_{kind}_{name}_{kind} {name} list<{kind}> . {kind}" for kind in _COMPARABLE]
    lines += [f"list_{kind}_sum_{kind} sum list<{kind}> . {kind}" for kind in _SUMMED]
    lines += [f"list_{kind}_sort sort list<{kind}> . list<{kind}>" for kind in _COMPARABLE]
    lines += [
        f"list_{kind}_sortByAssociatedKeys @sortByAssociatedKeys list<T> list<{kind}> list<T>" for kind in _COMPARABLE
    ]
    return "\n".join(lines)


def _formats() -> str:
    return "\n".join(f"format-{name} format.{name} - . Format" for name in _LITERAL_FORMATS)


@cache
def functions(extra: str = "") -> dict[str, tuple[Overload, ...]]:
    """All overloads by function; `extra` is empty, or names what only some environments have (`patches`, `devices`)."""
    tables = [_STANDARD, _comparisons(), _times(), _OPTIONALS, _STRINGS, _LISTS, _aggregates(), _REGEX, _URLS]
    tables += [_QUANTITIES, _NETWORK, _SEMVER, _AUTHORIZER, _FORMATS, _formats()]
    tables += [{"patches": _PATCHES, "devices": _DEVICES}[extra]] if extra else []
    found: dict[str, list[Overload]] = {}
    for line in "\n".join(tables).split("\n"):
        if line:
            name, overload = _overload(line)
            found.setdefault(name, []).append(overload)
    return {name: tuple(overloads) for name, overloads in found.items()}


def _overload(line: str) -> tuple[str, Overload]:
    identity, name, receiver, listed, result = line.split()
    texts = ([] if receiver == "-" else [receiver]) + ([] if listed == "." else split(listed))
    parameters = tuple(parse(text) for text in texts)
    kind = parse(result)
    generic = any(_generic(part) for part in (*parameters, kind))
    return name, Overload(identity, receiver != "-", parameters, kind, generic)


def _generic(kind: Type) -> bool:
    return kind.kind == "param" or any(_generic(part) for part in kind.params)
