"""Endpoints under faults: in the end, both forms name exactly the pods that are ready, each once."""

from __future__ import annotations

import pytest
from tests.sim.faults import PARTS, FaultyWorld, try_seeds

from knarr.api.registry import ENDPOINTS, ENDPOINTSLICES, NODES, PODS, SERVICES
from knarr.controller import endpoint_slice, endpoints

BOTH = (endpoint_slice.CONTROLLER, endpoints.CONTROLLER)
NS = "default"


class Sim:
    """Pods of three Services that come, become ready and unready, move between Services, and go."""

    def __init__(self, seed: int) -> None:
        self.world = FaultyWorld(BOTH, seed)
        self.random, self.api = self.world.random, self.world.api
        self.count = 0
        self.api.create(NODES, {"metadata": {"name": "n"}})

    def happens(self) -> None:
        pods = list(self.api.list(PODS))
        draw = self.random.random()
        if draw < 0.1:
            self.toggle_service()
        elif draw < 0.45 or not pods:
            self.create()
        else:
            self.change(self.random.choice(pods)["metadata"]["name"], draw)

    def toggle_service(self) -> None:
        name = self.random.choice("abc")
        if any(service["metadata"]["name"] == name for service in self.api.list(SERVICES)):
            self.api.remove(SERVICES, (NS, name))
            return
        ports = [{"name": "", "port": 80, "protocol": "TCP", "targetPort": 8080}]
        spec = {"selector": {"app": name}, "ports": ports, "type": "ClusterIP", "ipFamilies": ["IPv4"]}
        self.api.create(
            SERVICES, {"metadata": {"name": name, "namespace": NS}, "spec": {**spec, "clusterIP": "10.0.0.1"}}
        )

    def create(self) -> None:
        self.count += 1
        address = f"10.42.{self.count // 250}.{self.count % 250 + 2}"
        meta = {"name": f"p{self.count}", "namespace": NS, "labels": {"app": self.random.choice("abc")}}
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": condition("False")}
        self.api.put(PODS, {"metadata": meta, "spec": {"nodeName": "n", "containers": []}, "status": status})

    def change(self, name: str, draw: float) -> None:
        if draw < 0.55:
            self.api.remove(PODS, (NS, name))
        elif draw < 0.6:
            pod = self.api.get(PODS, NS, name)
            labels = {"app": self.random.choice("abc")}
            self.api.update(PODS, {**pod, "metadata": {**pod["metadata"], "labels": labels}})
        else:
            ready = self.random.choice(["True", "True", "False"])
            self.api.set_status(PODS, NS, name, conditions=condition(ready))

    def wanted(self) -> dict[str, dict[str, bool]]:
        """By Service: address -> ready."""
        return {
            name: {
                pod["status"]["podIP"]: pod["status"]["conditions"][0]["status"] == "True"
                for pod in self.api.list(PODS)
                if pod["metadata"]["labels"]["app"] == name
            }
            for name in (service["metadata"]["name"] for service in self.api.list(SERVICES))
        }

    def in_slices(self) -> dict[str, list[tuple[str, bool]]]:
        found: dict[str, list[tuple[str, bool]]] = {}
        for item in self.api.list(ENDPOINTSLICES):
            pairs = [(one["addresses"][0], one["conditions"]["ready"]) for one in item["endpoints"] or ()]
            found.setdefault(item["metadata"]["labels"]["kubernetes.io/service-name"], []).extend(pairs)
        return found

    def in_endpoints(self) -> dict[str, list[tuple[str, bool]]]:
        found: dict[str, list[tuple[str, bool]]] = {}
        for item in self.api.list(ENDPOINTS):
            pairs = found.setdefault(item["metadata"]["name"], [])
            for subset in item.get("subsets") or ():
                pairs += [(one["ip"], True) for one in subset.get("addresses") or ()]
                pairs += [(one["ip"], False) for one in subset.get("notReadyAddresses") or ()]
        return found

    def is_done(self) -> bool:
        wanted = self.wanted()
        forms = (self.in_slices(), self.in_endpoints())
        expected = {name: sorted(pairs.items()) for name, pairs in wanted.items()}
        # Slices of a Service that is gone are for the garbage collector, which is not here.
        return all(sorted(form.get(name, [])) == pairs for form in forms for name, pairs in expected.items()) and not (
            set(self.in_endpoints()) - set(wanted)
        )


def condition(ready: str) -> list[dict[str, str]]:
    return [{"type": "Ready", "status": ready}]


@pytest.mark.parametrize("part", range(PARTS))
def test_both_forms_agree_with_the_pods(part: int) -> None:
    async def tell(seed: int) -> None:
        sim = Sim(seed)
        await sim.world.start()
        for _ in range(3):
            for _ in range(60):
                await sim.world.step(sim.happens)
            await sim.world.rest(lambda: None, sim.is_done)
        await sim.world.close()

    try_seeds(part, tell)
