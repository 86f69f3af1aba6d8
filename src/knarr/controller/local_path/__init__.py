"""The class `local-path` and its provisioner: volumes that are folders of the node on which their first pod runs.

Behaves as the local-path provisioner that K3s brings along: https://github.com/rancher/local-path-provisioner
"""

from knarr.controller.local_path.controller import controller

__all__ = ["controller"]
