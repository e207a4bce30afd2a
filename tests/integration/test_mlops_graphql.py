"""GraphQL on the platform's face: everything that can be asked is answered, and nothing that is too much."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from graphql import GraphQLObjectType, get_introspection_query, get_named_type, is_leaf_type

from specrunner.engine.tags import Tagged
from specrunner.server.graph.schema import schema
from tests.integration.engine_samples import add_pipeline, bundle
from tests.integration.mlops_face import Platform, platform_on
from tests.integration.server_face import opened


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """With one of everything, tagged and deployed."""
    with platform_on(tmp_path_factory.mktemp("graph") / "state") as found:
        workspace = found.engine.workspaces.get(found.workspace())
        version = add_pipeline(found.engine, workspace)
        found.post("pipelines/deploy", deploy_id="prices", engine_config={"a": 1}, pipeline_version_pk_id=version.id)
        tag = found.graphql('mutation { insert_tag(objects: [{tag: "spring"}]) { returning { id } } }')
        number = tag["insert_tag"]["returning"][0]["id"]
        found.engine.tags.put_on(number, Tagged.MODEL, found.engine.models.newest(workspace.id, "houses").id)
        found.engine.tags.put_on(number, Tagged.PIPELINE, version.pipeline_id)
        found.upload(workspace.id, bundle("print()"))
        yield found


def everything(kind: Any, depth: int, seen: tuple[str, ...] = ()) -> str:
    """A selection of every field of a type, without going back to a type that it came from."""
    fields = []
    for name, field in kind.fields.items():
        inner = get_named_type(field.type)
        if is_leaf_type(inner):
            fields.append(name)
        elif depth and inner.name not in seen:
            fields.append(f"{name} {everything(inner, depth - 1, (*seen, inner.name))}")
    return "{ " + (" ".join(fields) or "__typename") + " }"


def test_the_client_can_read_the_schema(platform: Platform) -> None:
    told = platform.graphql(get_introspection_query())["__schema"]
    assert told["queryType"] and told["mutationType"] and len(told["types"]) > 60


ROOTS = {
    "workspace_by_pk": "(id: 1)",
    "user_default_workspace": "(where: {user_id: {_eq: null}})",
    "pipeline": "(order_by: {id: desc})",
    "pipeline_by_pk": "(id: 1)",
    "pipeline_version_by_pk": "(id: 1)",
    "search_pipelines": '(args: {search: ""})',
    "deployment": "",
    "deployment_by_pk": "(id: 1)",
    "model": "",
    "model_by_pk": "(id: 1)",
    "model_config_by_pk": "(id: 1)",
    "search_models": '(args: {search: "spring"})',
    "tag": "",
    "tag_by_pk": "(id: 1)",
}


@pytest.mark.parametrize("root", ROOTS)
def test_every_field_of_every_type_is_answered(platform: Platform, root: str) -> None:
    query = schema().query_type
    assert query is not None
    kind = get_named_type(query.fields[root].type)
    assert isinstance(kind, GraphQLObjectType)
    found = platform.graphql(f"{{ {root}{ROOTS[root]} {everything(kind, 3, (kind.name,))} }}")[root]
    assert found not in (None, [])


def test_an_orchestration_is_answered_by_its_id(platform: Platform) -> None:
    identity = platform.engine.orchestrations.all()[0].id
    query = schema().query_type
    assert query is not None
    kind = get_named_type(query.fields["orchestration_by_pk"].type)
    found = platform.graphql(f'{{ orchestration_by_pk(id: "{identity}") {everything(kind, 1)} }}')
    assert found["orchestration_by_pk"]["id"] == identity


def test_no_root_is_left_out_of_these_tests() -> None:
    query = schema().query_type
    assert query is not None and set(query.fields) == {*ROOTS, "orchestration_by_pk"}


@pytest.mark.parametrize("root", [name for name in ROOTS if name.endswith("_by_pk")])
def test_what_is_not_there_is_null(platform: Platform, root: str) -> None:
    assert platform.graphql(f"{{ {root}(id: 999) {{ id }} }}") == {root: None}


def test_a_run_sees_nothing_of_other_workspaces(tmp_path: Any) -> None:
    with opened(tmp_path / "state") as face:
        hidden = add_pipeline(face.engine, face.hidden, "secret-prices", "secret-houses")
        face.engine.planes.deploy(hidden.pipeline_id, hidden.id, face.engine.user_holder)
        for query in (
            "{ workspace_by_pk(id: 1) { name } pipeline_by_pk(id: 1) { id } pipeline_version_by_pk(id: 1) { id } }",
            "{ model_by_pk(id: 1) { id } model_config_by_pk(id: 1) { id } deployment_by_pk(id: 1) { id } }",
            "{ pipeline { pipeline_id } model { model_id } deployment { deploy_id } }",
            '{ search_models(args: {search: ""}) { model_id } search_pipelines(args: {search: ""}) { version } }',
        ):
            answer = face.http.post("/v1/graphql", json={"query": query})
            assert answer.status_code == 200 and "secret" not in answer.text, answer.text
            assert all(found in (None, []) for found in answer.json()["data"].values()), answer.text
        refused = face.http.post(
            "/v1/graphql", json={"query": 'mutation { insert_workspace_one(object: {name: "x"}) { id } }'}
        )
        assert "may not make workspaces" in refused.json()["errors"][0]["message"]


DEEP = "{ workspace_by_pk(id: 1) { " + "pipelines { workspace { " * 7 + "id" + " } }" * 7 + " } }"
WIDE = "{ " + " ".join(f"a{n}: workspace_by_pk(id: 1) {{ id }}" for n in range(600)) + " }"
SPREAD = (
    "query { workspace_by_pk(id: 1) { ...f0 } } "
    + " ".join(f"fragment f{n} on workspace {{ ...f{n + 1} ...f{n + 1} }}" for n in range(30))
    + " fragment f30 on workspace { id name }"
)
CYCLE = "query { workspace_by_pk(id: 1) { ...a } } fragment a on workspace { ...b } fragment b on workspace { ...a }"
NESTED = "{ a " * 5000
INSPECTING = "{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }"


@pytest.mark.parametrize(
    "query",
    [
        DEEP,
        WIDE,
        SPREAD,
        CYCLE,
        NESTED,
        INSPECTING,
        "",
        "{",
        "{ nothing }",
        "query a { __typename } query b { __typename }",
    ],
)
def test_what_is_too_much_or_wrong_is_refused_before_it_is_looked_up(platform: Platform, query: str) -> None:
    told = platform.ask(query)
    assert told["errors"][0]["message"] and "data" not in told


def test_an_answer_with_too_many_objects_is_refused(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specrunner.server.graph.scene.Scene.spend", _spent)
    told = platform.ask("{ pipeline { id } }")
    assert "more than" in told["errors"][0]["message"]


def _spent(self: Any) -> None:
    from specrunner.core.errors import BadInput

    raise BadInput("The answer would have more than 20,000 objects.")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"query": 7}', b'{"query": "{__typename}", "variables": []}', b"[]", b"x"]
)
def test_what_is_no_query_is_refused(platform: Platform, body: bytes) -> None:
    assert platform.http.post("/v1/graphql", content=body).status_code == 400


def test_a_body_that_is_too_large_is_refused(platform: Platform) -> None:
    answer = platform.http.post("/v1/graphql", json={"query": "{ __typename }" + " " * 2**18})
    assert answer.status_code in {400, 413}


def test_a_fault_of_ours_is_not_told(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the password is x")

    monkeypatch.setattr(platform.engine.tags, "all", broken)
    told = platform.ask("{ tag { id } }")
    assert told["errors"][0]["message"] == "The engine failed at this request; its log says why."


def test_who_begins_nowhere_gets_a_place_to_begin(platform: Platform) -> None:
    where = "user_default_workspace(where: {user_id: {_eq: $user}}) { workspace { id name } }"
    query = f"query($user: String) {{ {where} }}"
    assert platform.graphql(query, user="somebody")["user_default_workspace"] == []
    made = """mutation($user: String!) { insert_workspace_one(object: {name: "s - Default Workspace", created_by: $user,
      users: {data: {user_id: $user, user_type: "OWNER"}}, user_default_workspaces: {data: {user_id: $user}}},
      on_conflict: {constraint: workspace_name_key, update_columns: []}) { id } }"""
    first, second = (platform.graphql(made, user="somebody")["insert_workspace_one"]["id"] for _ in range(2))
    found = platform.graphql(query, user="somebody")["user_default_workspace"]
    assert first == second == found[0]["workspace"]["id"]


def test_the_model_of_a_deployment_is_replaced(platform: Platform) -> None:
    lab = platform.engine.workspaces.named("lab")
    other = platform.engine.models.upload(lab.id, "houses", "b.onnx", _other_model(), {"framework": "onnx"})
    query = """mutation($d: bigint, $m: bigint) { insert_deployment_model_configs(
      objects: {deployment_id: $d, model_config_id: $m}) { returning { model_config_id } } }"""
    deployment = platform.engine.deployments.all()[0]
    told = platform.graphql(query, d=deployment.id, m=other.id)["insert_deployment_model_configs"]
    assert told == {"returning": [{"model_config_id": other.id}]}
    deployed = platform.graphql("{ deployment { deployed deployment_model_configs { model_config_id } } }")[
        "deployment"
    ]
    assert deployed == [{"deployed": True, "deployment_model_configs": [{"model_config_id": other.id}]}]


def _other_model() -> bytes:
    from tests.integration.engine_samples import model_bytes

    return model_bytes(7)


def test_no_page_of_another_origin_can_ask(platform: Platform) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        answer = platform.http.post("/v1/graphql", json={"query": "{ __typename }"}, headers=headers)
        assert answer.status_code == 403
    assert isinstance(platform.http, httpx.Client)
