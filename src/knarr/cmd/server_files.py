"""The files of a server: authorities, certificates, keys and the kubeconfigs it hands out."""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from knarr.component_base import certificates, kubeconfig, succession
from knarr.component_base.certificates import Authority, Leaf, Terms
from knarr.component_base.kubeconfig import Access


class Pair(NamedTuple):
    """The paths of a certificate and its key."""

    certificate: Path
    key: Path


class Files:
    """What lies in the data directory. Nothing is read or made before `prepare`.

    `address` and `port` are where the cluster reaches the server, `local_port` is its port on this machine.
    """

    def __init__(self, arguments: argparse.Namespace, address: str, local_port: int, port: int) -> None:
        self.address = address
        self.port = port
        #: Days that a certificate is good for.
        self.days: float = arguments.certificate_days
        self._local_port = local_port
        self._arguments = arguments
        #: Where authorities, keys and the server's certificates lie.
        self.directory: Path = arguments.data_dir / "tls"
        self.serving = self._pair("serving")
        #: The client certificate for calls to kubelets.
        self.kubelet_client = self._pair("kubelet-client")
        #: The client certificate for calls to other API servers, as a front proxy.
        self.proxy_client = self._pair("front-proxy-client")

    @property
    def authority(self) -> bytes:
        """The certificate of the cluster's authority, PEM."""
        return self._pair("ca").certificate.read_bytes()

    def signing_authority(self) -> Authority:
        """The cluster's authority with its key."""
        pair = self._pair("ca")
        return Authority(pair.certificate.read_bytes(), pair.key.read_bytes())

    @property
    def proxy_authority(self) -> bytes:
        """The certificate of the front proxies' authority, PEM."""
        return self._pair("front-proxy-ca").certificate.read_bytes()

    @property
    def signing_key(self) -> bytes:
        """The private key that signs service-account tokens, PEM."""
        return certificates.signing_key(self.directory)

    def prepare(self, now: datetime.datetime, *, anew: bool = False) -> None:
        """Make what is missing, issue certificates that are due (all: `anew`), hand out the kubeconfigs with them."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        succession.adopt(self.directory, "ca")
        authority = Authority.load_or_create(self.directory, "ca", now)
        proxies = Authority.load_or_create(self.directory, "front-proxy-ca", now)
        certificates.signing_key(self.directory)
        issuer = _Issuer(authority, Terms(now, anew, succession.chain(self.directory, "ca")), self.days)
        issuer.leaf(self.directory, "serving", _serving_leaf(self._arguments, self.address))
        client = Leaf("kube-apiserver-kubelet-client", ("system:masters",), client=True)
        issuer.leaf(self.directory, "kubelet-client", client)
        _Issuer(proxies, Terms(now, anew), self.days).leaf(
            self.directory, "front-proxy-client", Leaf("front-proxy-client", client=True)
        )
        self._write_administrator(issuer)
        self._write_node(issuer)

    def _write_administrator(self, issuer: _Issuer) -> None:
        """The administrator's kubeconfig, over loopback."""
        arguments = self._arguments
        target = arguments.kubeconfig or arguments.data_dir / "admin.kubeconfig"
        admin = issuer.leaf(self.directory, "admin", Leaf("admin", ("system:masters",), client=True))
        server = f"https://{_local_host(arguments, self.address)}:{self._local_port}"
        kubeconfig.write(target, self._name, issuer.access(server, admin))

    def _write_node(self, issuer: _Issuer) -> None:
        """What the node beside the server needs: its kubeconfigs over the cluster's network, its certificate."""
        node = node_name(self._arguments)
        folder = self.directory.parent / "agent"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        server = f"https://{f'[{self.address}]' if ':' in self.address else self.address}:{self.port}"
        leaf = Leaf(f"system:node:{node}", ("system:nodes",), client=True)
        kubelet = issuer.leaf(self.directory, f"node-{node}", leaf)
        kubeconfig.write(folder / "kubeconfig", self._name, issuer.access(server, kubelet))
        services = issuer.leaf(
            self.directory,
            "node-services",
            Leaf("system:kube-proxy", ("knarr:node-services",), client=True),
        )
        kubeconfig.write(folder / "services.kubeconfig", self._name, issuer.access(server, services))
        serving = Leaf(leaf.common_name, leaf.organizations, (node,), ("127.0.0.1", self.address), server=True)
        issuer.leaf(folder, "kubelet", serving)
        certificates.write_private(folder / "ca.crt", self.authority)

    @property
    def _name(self) -> str:
        return self._arguments.name or "knarr"

    def _pair(self, name: str) -> Pair:
        return Pair(self.directory / f"{name}.crt", self.directory / f"{name}.key")


@dataclass(frozen=True, slots=True)
class _Issuer:
    """Issues certificates at one time."""

    authority: Authority
    terms: Terms
    days: float

    def leaf(self, directory: Path, name: str, leaf: Leaf) -> Pair:
        """The files of a certificate that is good."""
        lasting = replace(leaf, days=self.days)
        return Pair(*certificates.files_on(self.terms, self.authority, directory, name, lasting))

    def access(self, server: str, pair: Pair) -> Access:
        """What a kubeconfig says."""
        return Access(
            server=server,
            authority=self.authority.certificate,
            certificate=pair.certificate.read_bytes(),
            key=pair.key.read_bytes(),
        )


def node_name(arguments: argparse.Namespace) -> str:
    """The name of the node beside the server."""
    return str(arguments.node_name or arguments.name or socket.gethostname().lower())


def _local_host(arguments: argparse.Namespace, address: str) -> str:
    if arguments.listen_fd or arguments.bind_address in ("", "0.0.0.0", "::", "127.0.0.1", "localhost"):
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
