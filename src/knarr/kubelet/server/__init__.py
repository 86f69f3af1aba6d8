"""The kubelet's HTTPS API: logs, exec, attach, port forwarding, pods, health, statistics."""
