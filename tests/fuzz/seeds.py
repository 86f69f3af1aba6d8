"""Good objects, of which the bad ones are made."""

from __future__ import annotations

from typing import Any

NAMESPACE = "fuzz"
_HOME = f"/api/v1/namespaces/{NAMESPACE}"
_TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "a"}},
    "spec": {
        "containers": [
            {
                "name": "c",
                "image": "i",
                "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}],
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                ],
                "resources": {"requests": {"cpu": "10m", "memory": "1Mi"}, "limits": {"cpu": 1}},
                "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 5},
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                "securityContext": {"runAsUser": 1, "capabilities": {"drop": ["ALL"]}},
            }
        ],
        "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}],
        "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]
                }
            }
        },
    },
}
_SELECTOR = {"matchLabels": {"app": "a"}}


def _named(name: str, **rest: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"app": "a"}, "annotations": {"x": "y"}}, **rest}


_POD = _named("pod", spec=_TEMPLATE["spec"])
#: (collection, object): all exist in the server that is fuzzed.
OBJECTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}),
    (f"{_HOME}/serviceaccounts", {"metadata": {"name": "default"}}),
    (f"{_HOME}/pods", _POD),
    (f"{_HOME}/configmaps", _named("map", data={"a": "1"}, binaryData={"b": "AA=="})),
    (f"{_HOME}/secrets", _named("secret", data={"a": "MQ=="}, stringData={"b": "2"}, type="Opaque")),
    (
        f"{_HOME}/services",
        _named(
            "svc",
            spec={
                "selector": {"app": "a"},
                "ports": [
                    {"port": 80, "targetPort": "http", "name": "http"},
                    {"port": 81, "protocol": "UDP", "name": "dns"},
                ],
            },
        ),
    ),
    (
        f"{_HOME}/persistentvolumeclaims",
        _named("claim", spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}),
    ),
    (
        f"{_HOME}/limitranges",
        _named("limits", spec={"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "9Gi"}}]}),
    ),
    (
        f"{_HOME}/events",
        _named(
            "event", involvedObject={"kind": "Pod", "namespace": NAMESPACE, "name": "pod"}, reason="R", type="Normal"
        ),
    ),
    (f"{_HOME}/endpoints", _named("ends", subsets=[{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}])),
    ("/api/v1/nodes", _named("node", spec={"taints": [{"key": "a", "effect": "NoSchedule"}]})),
    (
        "/api/v1/persistentvolumes",
        _named(
            "volume",
            spec={"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}},
        ),
    ),
    (
        f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
        _named(
            "deploy",
            spec={
                "replicas": 2,
                "selector": _SELECTOR,
                "template": _TEMPLATE,
                "strategy": {"rollingUpdate": {"maxSurge": "25%"}},
            },
        ),
    ),
    (
        f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets",
        _named("set", spec={"serviceName": "svc", "selector": _SELECTOR, "template": _TEMPLATE}),
    ),
    (
        f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs",
        _named(
            "cron",
            spec={
                "schedule": "*/5 * * * *",
                "jobTemplate": {"spec": {"template": {"spec": {**_TEMPLATE["spec"], "restartPolicy": "Never"}}}},
            },
        ),
    ),
    (
        f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers",
        _named(
            "hpa",
            spec={
                "maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "deploy", "apiVersion": "apps/v1"},
            },
        ),
    ),
    (
        f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses",
        _named(
            "ing",
            spec={
                "rules": [
                    {
                        "host": "a.b",
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "svc", "port": {"number": 80}}},
                                }
                            ]
                        },
                    }
                ]
            },
        ),
    ),
    (
        f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies",
        _named("policy", spec={"podSelector": _SELECTOR, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}),
    ),
    (
        f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets",
        _named("budget", spec={"minAvailable": 1, "selector": _SELECTOR}),
    ),
    (
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles",
        _named("role", rules=[{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]),
    ),
    (
        f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings",
        _named(
            "binding",
            subjects=[{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}],
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "role"},
        ),
    ),
    (
        f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases",
        _named("lease", spec={"holderIdentity": "h", "leaseDurationSeconds": 5}),
    ),
    (
        f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices",
        _named("slice", addressType="IPv4", endpoints=[{"addresses": ["10.0.0.1"]}], ports=[{"port": 80, "name": "a"}]),
    ),
    (
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        _named(
            "things.example.com",
            spec={
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"plural": "things", "kind": "Thing"},
                "versions": [
                    {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
                ],
            },
        ),
    ),
    (
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
        _named(
            "vap",
            spec={
                "matchConstraints": {
                    "resourceRules": [
                        {"apiGroups": ["x"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["y"]}
                    ]
                },
                "validations": [{"expression": "true"}],
            },
        ),
    ),
    (
        "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
        _named("flow", spec={"priorityLevelConfiguration": {"name": "exempt"}, "matchingPrecedence": 500}),
    ),
)
#: Paths of single objects.
PATHS = tuple(f"{path}/{body['metadata']['name']}" for path, body in OBJECTS)
SUBRESOURCES = (
    "status",
    "scale",
    "eviction",
    "binding",
    "token",
    "ephemeralcontainers",
    "resize",
    "finalize",
    "approval",
    "log",
    "exec",
    "attach",
    "portforward",
    "proxy",
    "proxy/a",
    "bogus",
    "",
    "..",
    "%2e%2e",
)
#: Bodies of subresources and of what is never stored.
REVIEWS: tuple[tuple[str, dict[str, Any]], ...] = (
    (f"{_HOME}/pods/pod/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "pod"}}),
    (f"{_HOME}/pods/pod/binding", {"target": {"kind": "Node", "name": "node"}}),
    (f"{_HOME}/serviceaccounts/default/token", {"spec": {"audiences": ["a"], "expirationSeconds": 600}}),
    (
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods", "fieldSelector": {"rawSelector": "a=b"}}}},
    ),
    (
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        {
            "spec": {
                "user": "u",
                "groups": ["g"],
                "extra": {"a": ["b"]},
                "nonResourceAttributes": {"path": "/x", "verb": "get"},
            }
        },
    ),
    ("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "a.b.c"}}),
    ("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}),
)
DELETE_OPTIONS: dict[str, Any] = {
    "kind": "DeleteOptions",
    "apiVersion": "v1",
    "gracePeriodSeconds": 0,
    "preconditions": {"uid": "u", "resourceVersion": "1"},
    "propagationPolicy": "Background",
    "dryRun": ["All"],
}
