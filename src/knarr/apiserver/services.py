"""What the registry does around writes of Services: cluster IPs, node ports, families.

A transaction takes numbers when the write begins, gives back what a failed write took, and on success what it let go.
Source of the rules: pkg/registry/core/service/storage/alloc.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from knarr.apimachinery import field as fields
from knarr.apimachinery.errors import StatusError, internal, invalid
from knarr.apimachinery.types import Object
from knarr.apiserver import service_families
from knarr.apiserver.allocators import AddressRange, NumberRange, PortRange, RangeError
from knarr.apiserver.hooks import Claims
from knarr.apiserver.watch_cache import Change

Number: TypeAlias = tuple[NumberRange, int]


@dataclass(slots=True)
class Transaction:
    """Numbers that one write takes and lets go."""

    dry_run: bool
    taken: list[Number] = field(default_factory=list)
    released: list[Number] = field(default_factory=list)

    def take(self, source: NumberRange, number: int) -> None:
        """Use a number; a dry run only remembers it."""
        if not self.dry_run:
            source.take(number)
        self.taken.append((source, number))

    def has(self, source: NumberRange, number: int) -> bool:
        """Whether this write has taken the number already."""
        return (source, number) in self.taken

    def mine(self, source: NumberRange) -> set[int]:
        """What this write has taken of a range."""
        return {number for owner, number in self.taken if owner is source}

    def __call__(self, done: bool) -> None:  # noqa: FBT001 - the shape of Finish
        """The write is over."""
        if self.dry_run:
            return
        for source, number in self.released if done else self.taken:
            source.release(number)


class ServiceHooks:
    """The hooks of Services on a cluster of one IP family."""

    def __init__(self, cidr: str, ports: tuple[int, int]) -> None:
        self.addresses = AddressRange(cidr)
        self.ports = PortRange(*ports)
        self.claims: Claims | None = None

    def follow_ranges(self, ranges: Iterable[Object]) -> None:
        """Give out addresses of these ServiceCIDRs too, as far as they are ready and stay."""
        self.addresses.extend(
            cidr for each in ranges if _gives_addresses(each) for cidr in each["spec"].get("cidrs") or ()
        )

    def load(self, services: Iterable[Object]) -> None:
        """Take what existing Services have."""
        for service in services:
            for source, number in self.numbers(service["spec"]):
                source.take(number)

    def begin_create(self, obj: Object, *, dry_run: bool) -> Transaction:
        """Complete a new Service. Raises `StatusError` 422 for what cannot be had."""
        return self._begin(obj, None, dry_run=dry_run)

    def begin_update(self, obj: Object, old: Object, *, dry_run: bool) -> Transaction:
        """Complete a changed Service. Raises `StatusError` 422."""
        return self._begin(obj, old, dry_run=dry_run)

    def after_delete(self, obj: Object) -> None:
        """Give back what a Service had."""
        if self.claims is not None:
            self.claims.give_back(self.numbers(obj["spec"]))
            return
        for source, number in self.numbers(obj["spec"]):
            source.release(number)

    def on_change(self, change: Change) -> None:
        """Take what another server's Service has taken, give back what it had."""
        had = set(self.numbers(change.previous.decode()["spec"])) if change.previous is not None else set()
        has = set() if change.deleted else set(self.numbers(change.entry.decode()["spec"]))
        for source, number in had - has:
            source.release(number)
        for source, number in has - had:
            source.take(number)

    def _begin(self, obj: Object, old: Object | None, *, dry_run: bool) -> Transaction:
        spec = obj["spec"]
        before = old["spec"] if old is not None else None
        if before is not None:
            _keep_allocated(spec, before)
        service_families.sync_cluster_ips(spec, before)
        errors = service_families.complete(spec, before, self.addresses.family)
        if errors:
            raise _invalid(obj, errors)
        transaction = Transaction(dry_run)
        try:
            self._allocate_addresses(obj, before or {}, transaction)
            self._allocate_ports(obj, before or {}, transaction)
            self._allocate_health_port(obj, before or {}, transaction)
        except StatusError:
            transaction(False)
            raise
        self._release(spec, before or {}, transaction)
        return transaction

    # addresses

    def _allocate_addresses(self, obj: Object, before: Object, transaction: Transaction) -> None:
        spec = obj["spec"]
        if not _has_cluster_ip(spec) or service_families.is_headless(spec):
            return
        wanted = list(spec.get("clusterIPs") or [])
        if not wanted:
            number = self._free(self.addresses, transaction, "failed to allocate a serviceIP")
            wanted = [self.addresses.show(number)]
        else:
            kept = before.get("clusterIPs") or [] if _has_cluster_ip(before) else []
            for text in wanted:
                if text not in kept and service_families.family_of(text) == self.addresses.family:
                    self._take_address(obj, text, transaction)
        spec["clusterIPs"], spec["clusterIP"] = wanted, wanted[0]

    def _take_address(self, obj: Object, text: str, transaction: Transaction) -> None:
        try:
            transaction.take(self.addresses, self.addresses.check(text, dry_run=transaction.dry_run))
        except RangeError as error:
            why = f"failed to allocate IP {text}: {error}"
            failure = fields.invalid("spec.clusterIPs", obj["spec"]["clusterIPs"], why)
            raise _invalid(obj, [failure]) from error

    def _free(self, source: NumberRange, transaction: Transaction, failure: str) -> int:
        if transaction.dry_run:
            number = source.pretend(transaction.mine(source))
            transaction.take(source, number)
            return number
        try:
            number = source.free(transaction.mine(source))
        except RangeError as error:
            raise internal(f"{failure}: {error}") from error
        transaction.take(source, number)
        return number

    # ports

    def _allocate_ports(self, obj: Object, before: Object, transaction: Transaction) -> None:
        spec = obj["spec"]
        if spec.get("type") not in ("NodePort", "LoadBalancer"):
            return
        kept = set(_node_ports(before)) if before.get("type") in ("NodePort", "LoadBalancer") else set()
        # One number serves the same port over several protocols.
        by_port: dict[int, int] = {}
        for index, port in enumerate(spec.get("ports") or ()):
            asked = port.get("nodePort") or 0
            if not asked and not _allocates_ports(spec):
                continue
            known = by_port.get(port["port"], 0)
            asked = asked or known or (_asked_elsewhere(spec, port["port"]) if not before else 0)
            if asked and asked != known and asked not in kept:
                self._take_port(obj, f"spec.ports[{index}].nodePort", asked, transaction)
            elif not asked:
                asked = self._free(self.ports, transaction, "failed to allocate a nodePort")
            port["nodePort"] = by_port[port["port"]] = asked

    def _allocate_health_port(self, obj: Object, before: Object, transaction: Transaction) -> None:
        spec = obj["spec"]
        if not _has_health_port(spec):
            return
        asked = spec.get("healthCheckNodePort") or 0
        if asked and _has_health_port(before) and before.get("healthCheckNodePort") == asked:
            return
        if asked:
            self._take_port(obj, "spec.healthCheckNodePort", asked, transaction)
        else:
            spec["healthCheckNodePort"] = self._free(self.ports, transaction, "failed to allocate a HealthCheck port")

    def _take_port(self, obj: Object, path: str, number: int, transaction: Transaction) -> None:
        try:
            if transaction.has(self.ports, number):
                raise RangeError("provided port is already allocated")
            transaction.take(self.ports, self.ports.check(number, dry_run=transaction.dry_run))
        except RangeError as error:
            raise _invalid(obj, [fields.invalid(path, number, str(error))]) from error

    # releasing

    def _release(self, spec: Object, before: Object, transaction: Transaction) -> None:
        have = set(self.numbers(spec))
        transaction.released = [item for item in self.numbers(before) if item not in have]

    def numbers(self, spec: Object) -> Iterable[Number]:
        """What a Service has of the ranges."""
        if _has_cluster_ip(spec) and not service_families.is_headless(spec):
            for text in spec.get("clusterIPs") or ():
                if service_families.family_of(text) == self.addresses.family:
                    yield self.addresses, self.addresses.number(text)
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            for number in _node_ports(spec):
                yield self.ports, number
        if _has_health_port(spec) and spec.get("healthCheckNodePort"):
            yield self.ports, spec["healthCheckNodePort"]


def _gives_addresses(service_cidr: Object) -> bool:
    conditions = (service_cidr.get("status") or {}).get("conditions") or ()
    is_ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
    return is_ready and not service_cidr["metadata"].get("deletionTimestamp")


def _keep_allocated(spec: Object, before: Object) -> None:
    """What a client left out and the Service has, it keeps."""
    if _has_cluster_ip(spec) and _has_cluster_ip(before):
        if not spec.get("clusterIP"):
            spec["clusterIP"] = before.get("clusterIP", "")
        if not spec.get("clusterIPs") and spec["clusterIP"] == before.get("clusterIP"):
            spec["clusterIPs"] = list(before.get("clusterIPs") or ())
    if _has_node_ports(spec) and _has_node_ports(before):
        by_name = {port.get("name", ""): port.get("nodePort") for port in before.get("ports") or ()}
        used = set(_node_ports(before)) & set(_node_ports(spec))
        for port in spec.get("ports") or ():
            number = by_name.get(port.get("name", ""))
            if not port.get("nodePort") and number and number not in used:
                port["nodePort"] = number
                used.add(number)
    if _has_health_port(spec) and _has_health_port(before) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = before.get("healthCheckNodePort", 0)


def _invalid(obj: Object, errors: list[fields.FieldError]) -> StatusError:
    return invalid("Service", "", obj["metadata"].get("name", ""), errors)


def _has_cluster_ip(spec: Object) -> bool:
    return spec.get("type") in ("ClusterIP", "NodePort", "LoadBalancer")


def _allocates_ports(spec: Object) -> bool:
    if spec.get("type") == "NodePort":
        return True
    return spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False


def _has_node_ports(spec: Object) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def _has_health_port(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _node_ports(spec: Object) -> list[int]:
    return [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]


def _asked_elsewhere(spec: Object, number: int) -> int:
    """The node port that another entry of the same port asks for."""
    return next(
        (port["nodePort"] for port in spec.get("ports") or () if port["port"] == number and port.get("nodePort")), 0
    )
