"""A pod's /etc/hosts. Input: the pod and its addresses. Output: the file's text.

https://kubernetes.io/docs/tasks/network/customize-hosts-file-for-pods/
"""

from __future__ import annotations

from collections.abc import Sequence

from knarr.apimachinery.types import Object
from knarr.kubelet.pod_names import full_name, short_name

_OWN = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
_HOST = "# Kubernetes-managed hosts file (host network).\n"


def hosts_file(pod: Object, ips: Sequence[str], domain: str, host_text: str) -> str:
    """The text; `host_text` is the node's own file, for pods of the node's network."""
    if pod["spec"].get("hostNetwork"):
        return _HOST + host_text + _aliases(pod)
    short, full = short_name(pod), full_name(pod, domain)
    names = f"{full}\t{short}" if full else short
    return _OWN + "".join(f"{ip}\t{names}\n" for ip in ips) + _aliases(pod)


def _aliases(pod: Object) -> str:
    aliases = pod["spec"].get("hostAliases") or ()
    if not aliases:
        return ""
    lines = [f"{each['ip']}\t" + "\t".join(each.get("hostnames") or ()) for each in aliases]
    return "\n# Entries added by HostAliases.\n" + "\n".join(lines) + "\n"
