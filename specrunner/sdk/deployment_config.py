"""What a deployment may be told of processors and memory, as notebooks write it: a builder of `engine_config`.

A specrunner server keeps it with the deployment and shows it; what a pipeline really gets is what its spec says.
"""

from __future__ import annotations

from typing import Any


class DeploymentConfigBuilder:
    """Collects what a deployment is to have; each call but `build` gives the builder again."""

    def __init__(self, workspace_id: int | None = None) -> None:
        self._engine: dict[str, Any] = {}
        self._balancer: dict[str, Any] = {}
        self._besides = {} if workspace_id is None else {"workspace_id": workspace_id}

    def replica_count(self, count: int) -> DeploymentConfigBuilder:
        """So many processes at all times."""
        self._engine["replicas"] = count
        return self

    def replica_autoscale_min_max(self, maximum: int, minimum: int = 0) -> DeploymentConfigBuilder:
        """As many processes as the load asks for, within these. Raises ValueError for bounds that are none."""
        if not 0 <= minimum <= maximum:
            raise ValueError(f"at least {minimum} and at most {maximum} replicas are no bounds")
        self._autoscale().update(replica_min=minimum, replica_max=maximum, type="cpu")
        return self

    def autoscale_cpu_utilization(self, cpu_utilization_percentage: int) -> DeploymentConfigBuilder:
        """The use of its processor, in percent, at which there is to be one process more."""
        self._autoscale()["cpu_utilization"] = cpu_utilization_percentage
        return self

    def cpus(self, core_count: float) -> DeploymentConfigBuilder:
        """Processors for each process."""
        self._engine["cpu"] = core_count
        return _with(self, self._engine, "cpu", core_count)

    def gpus(self, gpu_count: int) -> DeploymentConfigBuilder:
        """Graphics processors for each process."""
        self._engine["gpu"] = gpu_count
        return _with(self, self._engine, "nvidia.com/gpu", gpu_count)

    def memory(self, memory_spec: str) -> DeploymentConfigBuilder:
        """Memory for each process, such as `1Gi`."""
        return _with(self, self._engine, "memory", memory_spec)

    def lb_cpus(self, core_count: float) -> DeploymentConfigBuilder:
        """Processors for what spreads the load."""
        return _with(self, self._balancer, "cpu", core_count)

    def lb_memory(self, memory_spec: str) -> DeploymentConfigBuilder:
        """Memory for what spreads the load."""
        return _with(self, self._balancer, "memory", memory_spec)

    def deployment_label(self, label: str) -> DeploymentConfigBuilder:
        """The label of the machines that it may run on."""
        self._engine["node_selector"] = label
        return self

    def build(self) -> dict[str, Any]:
        """What `pipeline.deploy(deployment_config=...)` takes."""
        return {"engine": self._engine, "enginelb": self._balancer, "engineAux": {"images": {}}, **self._besides}

    def _autoscale(self) -> dict[str, Any]:
        found: dict[str, Any] = self._engine.setdefault("autoscale", {})
        return found


def _with(
    builder: DeploymentConfigBuilder, part: dict[str, Any], resource: str, amount: float | str
) -> DeploymentConfigBuilder:
    both = part.setdefault("resources", {"limits": {}, "requests": {}})
    both["limits"][resource] = both["requests"][resource] = amount
    return builder
