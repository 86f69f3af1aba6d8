"""The files of a server: authorities, certificates, keys and the kubeconfigs it hands out."""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from knarr.component_base import certificates, kubeconfig
from knarr.component_base.certificates import Authority, Leaf
from knarr.component_base.kubeconfig import Access


class Pair(NamedTuple):
    """The paths of a certificate and its key."""

    certificate: Path
    key: Path


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
    #: When certificates were last looked at.
    renewed: datetime.datetime
    #: The serving certificate of the node beside the server.
    node_leaf: Leaf | None = None

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
            renewed=now,
        )
        files.renew(now)
        return files

    def renew(self, now: datetime.datetime) -> None:
        """Issue the certificates that are missing or due."""
        certificates.leaf_files(self.authority, self.directory, "serving", self.serving_leaf, now)
        client = Leaf("kube-apiserver-kubelet-client", ("system:masters",), client=True)
        certificates.leaf_files(self.authority, self.directory, "kubelet-client", client, now)
        self.renewed = now
        self.write_kubelet_serving()

    def write_kubeconfigs(self, arguments: argparse.Namespace, local_port: int, address: str, port: int) -> None:
        """Write the administrator's kubeconfig (over loopback) and the node's own (over the cluster's network)."""
        target = arguments.kubeconfig or arguments.data_dir / "admin.kubeconfig"
        admin = Leaf("kubernetes-admin", ("system:masters",), client=True)
        name = arguments.name or "knarr"
        host = _local_host(arguments, address)
        kubeconfig.write(target, name, self._access(f"https://{host}:{local_port}", "admin", admin))
        node = node_name(arguments)
        leaf = Leaf(f"system:node:{node}", ("system:nodes",), client=True)
        shown = f"[{address}]" if ":" in address else address
        path = arguments.data_dir / "agent" / "kubeconfig"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        kubeconfig.write(path, name, self._access(f"https://{shown}:{port}", f"node-{node}", leaf))
        services = Leaf("system:kube-proxy", ("knarr:node-services",), client=True)
        path = path.with_name("services.kubeconfig")
        kubeconfig.write(path, name, self._access(f"https://{shown}:{port}", "node-services", services))
        self.node_leaf = Leaf(leaf.common_name, leaf.organizations, (node,), ("127.0.0.1", address), server=True)
        self.write_kubelet_serving()

    def write_kubelet_serving(self) -> None:
        """Write what the node's kubelet serves with: certificate and key, and the authority of its clients."""
        if self.node_leaf is not None:
            folder = self.directory.parent / "agent"
            certificates.leaf_files(self.authority, folder, "kubelet", self.node_leaf, self.renewed)
            certificates.write_private(folder / "ca.crt", self.authority.certificate)

    def _access(self, server: str, name: str, leaf: Leaf) -> Access:
        certificate, key = certificates.leaf_files(self.authority, self.directory, name, leaf, self.renewed)
        return Access(
            server=server,
            authority=self.authority.certificate,
            certificate=certificate.read_bytes(),
            key=key.read_bytes(),
        )


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
