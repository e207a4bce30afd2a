"""Pipelines, inference and its log, tags, searching."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
from wallaroo.object import EntityNotFoundError

from tests.sdk.drive import AGO, FOLDER, OLD, URL, S, call, html, raises


@call("wl.pipelines_by_name(missing)")
def _() -> None:
    raises(EntityNotFoundError, lambda: S.wl.pipelines_by_name("prices"))


@call("wl.get_pipeline(missing)")
def _() -> None:
    raises(Exception, lambda: S.wl.get_pipeline("prices"))


@call("wl.build_pipeline(name)")
def _() -> None:
    S.pipeline = S.wl.build_pipeline("prices")
    assert S.pipeline.name() == "prices"


@call("pipeline.add_model_step(model)")
def _() -> None:
    S.pipeline.add_model_step(S.model)
    assert "prices" in html(S.pipeline)


@call("pipeline.status(): never deployed")
def _() -> None:
    assert "not deployed" in S.pipeline.status()["status"]


@call("pipeline.deploy()")
def _() -> None:
    S.pipeline.deploy()
    assert "True" in html(S.pipeline)


@call("pipeline.status()")
def _() -> None:
    assert S.pipeline.status()["status"] == "Running"


@call("pipeline.url()")
def _() -> None:
    assert S.pipeline.url().startswith(f"{URL}/v1/api/pipelines/infer/prices-")


@call("pipeline.infer(DataFrame)")
def _() -> None:
    found = S.pipeline.infer(pd.DataFrame({"tensor": [[1.0] * 18, [2.0] * 18]}))
    assert list(found.columns)[:3] == ["time", "in.tensor", "out.variable"], list(found.columns)
    assert len(found) == 2 and str(found["time"].dtype).startswith("datetime64")


@call("pipeline.infer(Table)")
def _() -> None:
    with pa.ipc.open_file(str(FOLDER / "rows.arrow")) as reader:
        table = reader.read_all()
    found = S.pipeline.infer(table)
    assert isinstance(found, pa.Table) and found.num_rows == table.num_rows
    assert {"time", "in.tensor", "out.variable"} <= set(found.column_names)


@call("pipeline.infer(DataFrame, dataset=[...])")
def _() -> None:
    found = S.pipeline.infer(pd.DataFrame({"tensor": [[1.0] * 18]}), dataset=["time", "out", "check_failures"])
    assert "in.tensor" not in found.columns and "out.variable" in found.columns


@call("pipeline.infer(metadata)")
def _() -> None:
    wanted = ["time", "out", "check_failures", "metadata"]
    found = S.pipeline.infer(pd.DataFrame({"tensor": [[1.0] * 18]}), dataset=wanted)
    assert any(name.startswith("metadata") for name in found.columns), list(found.columns)


@call("pipeline.infer(wrong column)")
def _() -> None:
    raises(Exception, lambda: S.pipeline.infer(pd.DataFrame({"nothing": [[1.0]]})))


@call("pipeline.infer_from_file(arrow)")
def _() -> None:
    assert S.pipeline.infer_from_file(str(FOLDER / "rows.arrow")).num_rows == 3


@call("pipeline.infer_from_file(df.json)")
def _() -> None:
    assert len(S.pipeline.infer_from_file(str(FOLDER / "rows.df.json"))) == 3


@call("deployment.infer(DataFrame)")
def _() -> None:
    deployment = S.pipeline._deployment_for_pipeline()
    assert len(deployment.infer(pd.DataFrame({"tensor": [[1.0] * 18]}))) == 1


@call("pipeline.parallel_infer(DataFrame)")
def _() -> None:
    rows = pd.DataFrame({"tensor": [[float(n)] * 18 for n in range(5)]})
    found = asyncio.run(S.pipeline.parallel_infer(rows, batch_size=2))
    assert len(found) == 5


@call("pipeline.async_infer(DataFrame)")
def _() -> None:
    import httpx

    async def asked() -> Any:
        async with httpx.AsyncClient() as client:
            return await S.pipeline.async_infer(pd.DataFrame({"tensor": [[1.0] * 18]}), client)

    assert len(asyncio.run(asked())) == 1


@call("pipeline.logs()")
def _() -> None:
    S.pipeline.infer(pd.DataFrame({"tensor": [[7.0] * 18]}))
    found = S.pipeline.logs()
    assert len(found) >= 10 and found["in.tensor"].iloc[0][0] == 7.0


@call("pipeline.logs(limit)")
def _() -> None:
    assert len(S.pipeline.logs(limit=2)) == 2


@call("pipeline.logs(start_datetime, end_datetime)")
def _() -> None:
    found = S.pipeline.logs(start_datetime=AGO, end_datetime=datetime.now(tz=UTC))
    assert len(found) >= 10 and found["time"].is_monotonic_increasing


@call("pipeline.logs(arrow=True)")
def _() -> None:
    assert isinstance(S.pipeline.logs(arrow=True), pa.Table)


@call("pipeline.export_logs()")
def _() -> None:
    S.pipeline.export_logs(directory=str(FOLDER / "logs"), file_prefix="p")
    assert list((FOLDER / "logs").glob("p-*.json"))


@call("pipeline.export_logs(arrow=True)")
def _() -> None:
    S.pipeline.export_logs(directory=str(FOLDER / "logs-arrow"), file_prefix="p", arrow=True)
    assert list((FOLDER / "logs-arrow").glob("p-*.arrow"))


@call("wl.pipelines_by_name(name)")
def _() -> None:
    found = S.wl.pipelines_by_name("prices")
    assert [one.id() for one in found] == [S.pipeline.id()]


@call("wl.list_pipelines()")
def _() -> None:
    found = S.wl.list_pipelines()
    assert "prices" in [one.name() for one in found]
    assert "prices" in html(found)


@call("wl.get_pipeline(name)")
def _() -> None:
    assert S.wl.get_pipeline("prices").id() == S.pipeline.id()


@call("pipeline.versions()")
def _() -> None:
    versions = S.pipeline.variants() if OLD else S.pipeline.versions()
    assert len(versions) == 2 and versions[0].id() > versions[1].id()


@call("pipeline.create_time(), last_update_time()")
def _() -> None:
    assert S.pipeline.create_time() <= S.pipeline.last_update_time()


@call("workspace.pipelines()")
def _() -> None:
    assert [one.name() for one in S.workspace.pipelines()] == ["prices"]


@call("pipeline.undeploy()")
def _() -> None:
    S.pipeline.undeploy()
    raises(Exception, lambda: S.pipeline.infer(pd.DataFrame({"tensor": [[1.0] * 18]})))


@call("wl.pipelines_by_name(name)[0].deploy(): again, from what is stored")
def _() -> None:
    again = S.wl.pipelines_by_name("prices")[0]
    again.deploy()
    assert len(again.infer(pd.DataFrame({"tensor": [[1.0] * 18]}))) == 1
    again.undeploy()


@call("deployment_config: DeploymentConfigBuilder")
def _() -> None:
    from wallaroo.deployment_config import DeploymentConfigBuilder

    config = DeploymentConfigBuilder().replica_count(1).cpus(0.5).memory("1Gi").build()
    S.pipeline.deploy(deployment_config=config)
    assert S.pipeline.status()["status"] == "Running"
    html(S.pipeline)
    S.pipeline.undeploy()


@call("wl.list_deployments()")
def _() -> None:
    assert [one.name() for one in S.wl.list_deployments()] == ["prices"]


@call("wl.deployment_by_name(name)")
def _() -> None:
    assert S.wl.deployment_by_name("prices").name() == "prices"


@call("wl.create_tag(text)")
def _() -> None:
    S.tag = S.wl.create_tag("spring")
    assert S.tag.tag() == "spring"


@call("tag.add_to_model(id), tag.add_to_pipeline(id)")
def _() -> None:
    S.tag.add_to_model(S.model.id())
    S.tag.add_to_pipeline(S.pipeline.id())


@call("wl.list_tags()")
def _() -> None:
    found = S.wl.list_tags()
    assert [one.tag() for one in found] == ["spring"]
    assert "spring" in html(found)


@call("tag.list_models(), tag.list_pipelines()")
def _() -> None:
    models = S.tag.list_models() if OLD else S.tag.list_model_versions()
    assert [one.id() for one in models] == [S.model.id()]
    assert [one.id() for one in S.tag.list_pipelines()] == [S.pipeline.id()]


@call("wl.search_models(term)")
def _() -> None:
    assert [one.id() for one in S.wl.search_models("spring")] == [S.model.id()]
    assert [one.id() for one in S.wl.search_models("hous")] == [S.model.id()]
    assert list(S.wl.search_models("nothing")) == []


@call("wl.search_pipelines(term)")
def _() -> None:
    assert len(S.wl.search_pipelines("pric")) == 1 and len(S.wl.search_pipelines("nothing")) == 0
    assert len(S.wl.search_pipelines("spring", deployed=False)) == 1
    assert len(S.wl.search_pipelines("spring", deployed=True)) == 0


@call("wl.search_pipelines(created_start, created_end)")
def _() -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    told = [long_ago.isoformat(), datetime.now(tz=UTC).isoformat()] if OLD else [long_ago, datetime.now(tz=UTC)]
    assert len(S.wl.search_pipelines("", created_start=told[0], created_end=told[1])) >= 1
    assert len(S.wl.search_pipelines("", created_start=told[0], created_end=told[0])) == 0


@call("tag.remove_from_model(id), tag.remove_from_pipeline(id)")
def _() -> None:
    S.tag.remove_from_model(S.model.id())
    S.tag.remove_from_pipeline(S.pipeline.id())
    assert list(S.wl.search_models("spring")) == []


@call("model._update_visibility(), pipeline._update_visibility()")
def _() -> None:
    from wallaroo.visibility import _Visibility

    S.model._update_visibility(_Visibility.PUBLIC)
    S.pipeline._update_visibility(_Visibility.PUBLIC)
