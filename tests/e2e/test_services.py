"""Services: by address and name, spread, only to what is ready; DNS; the API from inside."""

from __future__ import annotations

from tests.e2e.cluster import Cluster, until
from tests.e2e.manifests import DEPLOYMENT, pod


def deploy(cluster: Cluster, ns: str) -> str:
    cluster.apply(DEPLOYMENT, ns)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", ns, "--timeout=180s")
    return str(cluster.json("get", "service", "web", "-n", ns)["spec"]["clusterIP"])


def test_two_replicas_share_the_load_by_address_and_by_name(cluster: Cluster, ns: str) -> None:
    address = deploy(cluster, ns)
    names = {item["metadata"]["name"] for item in cluster.json("get", "pods", "-n", ns, "-l", "app=web")["items"]}
    assert len(names) == 2
    until(lambda: cluster.fetch(f"http://{address}/host"), "the Service answers on the node")
    assert {cluster.fetch(f"http://{address}/host").strip() for _ in range(40)} == names
    cluster.apply(pod("box", "sleep 1000"), ns)
    cluster.kubectl("wait", "pod/box", "-n", ns, "--for=condition=Ready", "--timeout=180s")
    for url in ("http://web/host", f"http://web.{ns}.svc.cluster.local/host", f"http://{address}/host"):
        fetch = f"for i in $(seq 20); do wget -q -O - {url}; done"
        seen = set(cluster.kubectl("exec", "box", "-n", ns, "--", "sh", "-c", fetch).split())
        assert seen <= names
        assert seen
    resolved = cluster.kubectl("exec", "box", "-n", ns, "--", "nslookup", f"web.{ns}.svc.cluster.local")
    assert address in resolved


def test_a_pod_that_is_not_ready_gets_no_traffic(cluster: Cluster, ns: str) -> None:
    address = deploy(cluster, ns)
    first, second = (
        item["metadata"]["name"] for item in cluster.json("get", "pods", "-n", ns, "-l", "app=web")["items"]
    )
    cluster.kubectl("exec", first, "-n", ns, "--", "mv", "/usr/share/nginx/html/index.html", "/tmp/")
    cluster.kubectl("wait", f"pod/{first}", "-n", ns, "--for=condition=Ready=false", "--timeout=180s")

    def only_second() -> bool:
        return {cluster.fetch(f"http://{address}/host").strip() for _ in range(20)} == {second}

    until(only_second, "only the ready pod answers")
    cluster.kubectl("exec", first, "-n", ns, "--", "mv", "/tmp/index.html", "/usr/share/nginx/html/")
    cluster.kubectl("wait", f"pod/{first}", "-n", ns, "--for=condition=Ready", "--timeout=180s")
    until(lambda: cluster.fetch(f"http://{address}/host").strip() == first, "it is back")


def test_a_service_without_endpoints_refuses_at_once(cluster: Cluster, ns: str) -> None:
    cluster.kubectl("create", "service", "clusterip", "empty", "-n", ns, "--tcp=80")
    address = cluster.json("get", "service", "empty", "-n", ns)["spec"]["clusterIP"]

    def refused() -> bool:
        return "refused" in cluster.in_node("busybox", "wget", "-O", "-", f"http://{address}/", timeout=60).stderr

    until(refused, "connections are refused")


def test_a_headless_service_names_its_pods(cluster: Cluster, ns: str) -> None:
    deploy(cluster, ns)
    bare = "apiVersion: v1\nkind: Service\nmetadata: {name: bare}\nspec: {clusterIP: None, selector: {app: web}}"
    target = f"web.{ns}.svc.cluster.local"
    other = bare.replace("bare", "other").replace("{clusterIP: None, selector: {app: web}}", "")
    cluster.apply(bare, ns)
    cluster.apply(other + f"{{type: ExternalName, externalName: {target}}}", ns)
    addresses = {item["status"]["podIP"] for item in cluster.json("get", "pods", "-n", ns, "-l", "app=web")["items"]}
    cluster.apply(pod("box", "sleep 1000"), ns)
    cluster.kubectl("wait", "pod/box", "-n", ns, "--for=condition=Ready", "--timeout=180s")

    def answered(name: str) -> str:
        return cluster.try_kubectl("exec", "box", "-n", ns, "--", "nslookup", f"{name}.{ns}.svc.cluster.local").stdout

    until(lambda: all(address in answered("bare") for address in addresses), "the headless name has all pods")
    assert target in answered("other")


def test_dns_is_a_service_whose_endpoints_answer(cluster: Cluster, ns: str) -> None:
    service = cluster.json("get", "service", "kube-dns", "-n", "kube-system")["spec"]
    slices = cluster.json("get", "endpointslices", "-n", "kube-system", "-l", "kubernetes.io/service-name=kube-dns")
    endpoints = [one for item in slices["items"] for one in item["endpoints"]]
    assert [one["conditions"]["ready"] for one in endpoints] == [True]
    cluster.apply(pod("box", "sleep 1000"), ns)
    cluster.kubectl("wait", "pod/box", "-n", ns, "--for=condition=Ready", "--timeout=180s")
    for server in (service["clusterIP"], *endpoints[0]["addresses"]):
        name = "kube-dns.kube-system.svc.cluster.local"
        assert service["clusterIP"] in cluster.kubectl("exec", "box", "-n", ns, "--", "nslookup", name, server)


def test_pods_reach_the_api_with_their_service_account(cluster: Cluster, ns: str) -> None:
    cluster.kubectl(
        "create", "rolebinding", "viewers", "-n", ns, "--clusterrole=view", f"--serviceaccount={ns}:default"
    )
    script = (
        "import json,ssl,urllib.request as u; d='/var/run/secrets/kubernetes.io/serviceaccount/'; "
        "c=ssl.create_default_context(cafile=d+'ca.crt'); n=open(d+'namespace').read(); "
        "r=u.Request('https://kubernetes.default/api/v1/namespaces/'+n+'/pods', "
        "headers={'Authorization':'Bearer '+open(d+'token').read()}); "
        "print([p['metadata']['name'] for p in json.load(u.urlopen(r, context=c))['items']])"
    )
    manifest = f"""
apiVersion: v1
kind: Pod
metadata: {{name: client}}
spec:
  restartPolicy: Never
  containers:
  - {{name: main, image: python, imagePullPolicy: IfNotPresent, command: [python3, -c, {script!r}]}}
"""
    cluster.apply(manifest.replace("\\'", "''"), ns)
    cluster.kubectl("wait", "pod/client", "-n", ns, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=180s")
    assert cluster.kubectl("logs", "client", "-n", ns).strip() == "['client']"
