"""The files of a server: authorities, certificates, keys and the kubeconfigs it hands out."""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from knarr.component_base import certificates, kubeconfig
from knarr.component_base.certificates import Authority, Leaf
from knarr.component_base.kubeconfig import Access


class Pair(NamedTuple):
    """The paths of a certificate and its key."""

    certificate: Path
    key: Path


class Handed(NamedTuple):
    """A kubeconfig that is written: the name of its context, the server, the certificate's files and what it says."""

    path: Path
    context: str
    server: str
    file: str
    leaf: Leaf


@dataclass(slots=True)
class Files:
    """What lies in the data directory."""

    directory: Path
    authority: Authority
    proxy_authority: Authority
    signing_key: bytes
    serving_leaf: Leaf
    serving: Pair
    #: The client certificate for calls to kubelets.
    kubelet_client: Pair
    #: Days that a certificate is good for.
    days: float
    _handed: list[Handed] = field(default_factory=list)
    #: The serving certificate of the node beside the server.
    _node_leaf: Leaf | None = None

    @classmethod
    def prepare(cls, arguments: argparse.Namespace, address: str, now: datetime.datetime) -> Files:
        """Read what is there, make what is missing or due."""
        directory = arguments.data_dir / "tls"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority = Authority.load_or_create(directory, "ca", now)
        proxy = Authority.load_or_create(directory, "front-proxy-ca", now)
        leaf = _serving_leaf(arguments, address)
        files = cls(
            directory=directory,
            authority=authority,
            proxy_authority=proxy,
            signing_key=certificates.signing_key(directory),
            serving_leaf=leaf,
            serving=Pair(directory / "serving.crt", directory / "serving.key"),
            kubelet_client=Pair(directory / "kubelet-client.crt", directory / "kubelet-client.key"),
            days=arguments.certificate_days,
        )
        files.renew(now)
        return files

    def renew(self, now: datetime.datetime) -> None:
        """Issue the certificates that are missing or due, and hand them out again."""
        client = Leaf("kube-apiserver-kubelet-client", ("system:masters",), client=True)
        self._issue("serving", self.serving_leaf, now)
        self._issue("kubelet-client", client, now)
        for one in self._handed:
            pair = self._issue(one.file, one.leaf, now)
            access = Access(
                server=one.server,
                authority=self.authority.certificate,
                certificate=pair.certificate.read_bytes(),
                key=pair.key.read_bytes(),
            )
            kubeconfig.write(one.path, one.context, access)
        if self._node_leaf is not None:
            # What the node's kubelet serves with, and the authority of its clients.
            folder = self.directory.parent / "agent"
            self._issue("kubelet", self._node_leaf, now, folder)
            certificates.write_private(folder / "ca.crt", self.authority.certificate)

    def hand_out(
        self, arguments: argparse.Namespace, local_port: int, address: str, port: int, now: datetime.datetime
    ) -> None:
        """Write, from now on, the administrator's kubeconfig (over loopback) and what the node beside us needs."""
        name = arguments.name or "knarr"
        local = f"https://{_local_host(arguments, address)}:{local_port}"
        shown = f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"
        node = node_name(arguments)
        admin = Leaf("kubernetes-admin", ("system:masters",), client=True)
        kubelet = Leaf(f"system:node:{node}", ("system:nodes",), client=True)
        services = Leaf("system:kube-proxy", ("knarr:node-services",), client=True)
        agent = arguments.data_dir / "agent"
        agent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._handed = [
            Handed(arguments.kubeconfig or arguments.data_dir / "admin.kubeconfig", name, local, "admin", admin),
            Handed(agent / "kubeconfig", name, shown, f"node-{node}", kubelet),
            Handed(agent / "services.kubeconfig", name, shown, "node-services", services),
        ]
        self._node_leaf = Leaf(kubelet.common_name, kubelet.organizations, (node,), ("127.0.0.1", address), server=True)
        self.renew(now)

    def _issue(self, name: str, leaf: Leaf, now: datetime.datetime, folder: Path | None = None) -> Pair:
        lasting = replace(leaf, days=self.days)
        return Pair(*certificates.leaf_files(self.authority, folder or self.directory, name, lasting, now))


def node_name(arguments: argparse.Namespace) -> str:
    """The name of the node beside the server."""
    return str(arguments.node_name or arguments.name or socket.gethostname().lower())


def _local_host(arguments: argparse.Namespace, address: str) -> str:
    if arguments.listen_fd or arguments.bind_address in ("", "0.0.0.0", "::", "127.0.0.1", "localhost"):  # noqa: S104
        return "127.0.0.1"
    return f"[{address}]" if ":" in address else str(arguments.bind_address)


def _serving_leaf(arguments: argparse.Namespace, address: str) -> Leaf:
    service = str(ipaddress.ip_network(arguments.service_cidr)[1])
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    ips = ["127.0.0.1", "::1", service, address]
    if arguments.bind_address and _is_ip(arguments.bind_address):
        ips.append(arguments.bind_address)
    return Leaf("kube-apiserver", (), dns=(*names, "localhost", socket.gethostname()), ips=ips, server=True)


def _is_ip(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_unspecified
    except ValueError:
        return False
