"""The platform's face, GraphQL and the Open Inference Protocol: who gets what from which route, for every route."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import pytest

from specrunner.core.access import Scope
from specrunner.engine.records import Deployment
from specrunner.server.api.face import OPERATIONS
from specrunner.server.graph.schema import schema
from tests.integration.own_face import HIDDEN, SENTINEL, OwnFace, own_face
from tests.integration.test_own_access import NEEDS_NO_TOKEN, every_route, name_of

PASSWORD = "correct horse battery"
USERS = "/auth/admin/realms/{realm}/users"
TELLING = {HIDDEN, SENTINEL}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request about what is in a workspace. Where it `names` that, others are told 403 or 404, or nothing of it."""

    body: Any = None
    names: bool = True
    files: bool = False
    params: str = ""


WORKSPACE = {"workspace_id": "{workspace}"}
TASK = {**WORKSPACE, "orch_id": "{orchestration}", "name": "job", "json": {}}
V2 = {"inputs": [{"name": "float_input", "datatype": "FP32", "shape": [1, 18], "data": [1.0] * 18}]}
STEP = {"ModelInference": {"models": [{"name": "m", "version": "{model_version}", "sha": "{sha}"}]}}
ROUTES: Mapping[str, Asked] = {
    "POST /v1/api/pipelines/infer/{deployment}/{pipeline}": Asked([{"tensor": [1.0] * 18}]),
    "GET /v2/models/{pipeline}": Asked(),
    "GET /v2/models/{pipeline}/versions/{version}": Asked(),
    "GET /v2/models/{pipeline}/ready": Asked(),
    "GET /v2/models/{pipeline}/versions/{version}/ready": Asked(),
    "POST /v2/models/{pipeline}/infer": Asked(V2),
    "POST /v2/models/{pipeline}/versions/{version}/infer": Asked(V2),
    "POST /v1/api/features/list": Asked({}, names=False),
    "POST /v1/api/users/query": Asked({}, names=False),
    "POST /v1/api/users/invite": Asked({"email": "new@example.com", "password": PASSWORD}),
    f"GET {USERS}": Asked(names=False),
    f"GET {USERS}/{{user_id}}": Asked(names=False),
    f"PUT {USERS}/{{user_id}}": Asked({"enabled": False}),
    "POST /v1/api/workspaces/list": Asked({}, names=False),
    "POST /v1/api/workspaces/create": Asked({"workspace_name": "{w}"}),
    "POST /v1/api/workspaces/add_user": Asked({**WORKSPACE, "user_id": "{user}"}),
    "POST /v1/api/connections/get": Asked({"name": "store-{w}"}),
    "POST /v1/api/connections/get_by_id": Asked({"id": "{connection}"}),
    "POST /v1/api/connections/list": Asked(WORKSPACE),
    "POST /v1/api/connections/create": Asked({"name": "store-{w}", "type": "S3", "details": {"a": 1}}),
    "POST /v1/api/connections/delete": Asked({"name": "store-{w}"}),
    "POST /v1/api/connections/add_to_workspace": Asked({**WORKSPACE, "connection_id": "{connection}"}),
    "POST /v1/api/connections/remove_from_workspace": Asked({**WORKSPACE, "connection_id": "{connection}"}),
    "POST /v1/api/models/upload": Asked(files=True),
    "POST /v1/api/models/upload_and_convert": Asked(files=True),
    "POST /v1/api/models/upload_stream": Asked("bytes", params="?name=m&filename=m.onnx&workspace_id={workspace}"),
    "POST /v1/api/models/get_version_by_id": Asked({"model_version_id": "{model}"}),
    "POST /v1/api/models/insert_model_config": Asked({"model_version_id": "{model}"}),
    "POST /v1/api/models/get_config_by_id": Asked({"model_id": "{model}"}),
    "POST /v1/api/models/list": Asked({}, names=False),
    "POST /v1/api/models/get": Asked({"id": "{model_id}"}),
    "POST /v1/api/models/get_upload_logs": Asked({"model_version_id": "{model}"}),
    "POST /v1/api/pipelines/create": Asked(
        {**WORKSPACE, "pipeline_id": "prices-{w}", "definition": {"id": "prices-{w}", "steps": [STEP]}}
    ),
    "POST /v1/api/pipelines/get_pipeline_by_name": Asked({**WORKSPACE, "pipeline_name": "prices-{w}"}),
    "POST /v1/api/pipelines/list_pipelines": Asked({}, names=False),
    "POST /v1/api/pipelines/get_version": Asked({"version": "{version}"}),
    "POST /v1/api/pipelines/deploy": Asked({"pipeline_version_pk_id": "{version_id}"}),
    "POST /v1/api/pipelines/undeploy": Asked({"deployment_id": "{deployment_id}"}),
    "POST /v1/api/status/get_deployment": Asked({"name": "{deployment}"}),
    "POST /v1/api/plateau/get_topic_name": Asked({"pipeline_pk_id": "{pipeline_id}"}),
    "POST /v1/logs/topic/{topic}/records": Asked({}),
    "POST /v1/api/orchestration/upload": Asked(files=True),
    "POST /v1/api/orchestration/get_by_id": Asked({"id": "{orchestration}"}),
    "POST /v1/api/orchestration/list": Asked(WORKSPACE),
    "POST /v1/api/orchestration/list_all": Asked({}, names=False),
    "POST /v1/api/task/run_once": Asked(TASK),
    "POST /v1/api/task/run_scheduled": Asked({**TASK, "schedule": "0 0 1 1 *"}),
    "POST /v1/api/task/run_continuously": Asked(TASK),
    "POST /v1/api/task/get_by_id": Asked({"id": "{task}"}),
    "POST /v1/api/task/list": Asked(WORKSPACE, names=False),  # they get an empty list
    "POST /v1/api/task/get_tasks_by_orch_sha": Asked({"sha": "{sha}"}, names=False),  # the same bytes are in both
    "POST /v1/api/task/kill": Asked({"id": "{task}"}),
    "POST /v1/api/task/pause": Asked({"id": "{task}", "pause": True}),
    "POST /v1/api/task/list_task_runs": Asked({"task_id": "{task}"}),
    "POST /v1/api/task/get_run_details": Asked({"pod_id": "{run}"}),
    "POST /v1/api/task/get_logs_for_run": Asked({"id": "{run}"}),
    "POST /v1/graphql": Asked(
        {
            "query": "query($id: bigint!) { pipeline_by_pk(id: $id) { id pipeline_id } }",
            "variables": {"id": "{pipeline_id}"},
        },
        names=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """What a request may name of one workspace."""

    names: Mapping[str, str]
    numbers: Mapping[str, int]

    def filled(self, said: Any) -> Any:
        """The same with the names of this workspace in the places for them."""
        if isinstance(said, dict):
            return {name: self.filled(value) for name, value in said.items()}
        if isinstance(said, list):
            return [self.filled(value) for value in said]
        if not isinstance(said, str):
            return said
        if said.startswith("{") and said[1:-1] in self.numbers:
            return self.numbers[said[1:-1]]
        for name, value in {**self.names, **self.numbers}.items():
            said = said.replace(f"{{{name}}}", str(value))
        return said


@dataclass(frozen=True, slots=True)
class Scene:
    """The face, its callers' log-ins among the tokens, and what is in the two workspaces."""

    face: OwnFace
    lab: Place
    hidden: Place

    def ask(self, route: str, who: str, place: Place) -> Any:
        asked, (method, _, path) = ROUTES[route], route.partition(" ")
        more: dict[str, Any] = {}
        if asked.files:
            metadata = json.dumps(place.filled({**WORKSPACE, "name": "uploaded"}))
            more["files"] = {"metadata": (None, metadata, "application/json"), "file": ("m.onnx", b"bytes")}
        elif asked.body is not None:
            more["json"] = place.filled(asked.body)
        return self.face.ask(method, place.filled(path + asked.params), who, **more)


def placed(face: OwnFace, name: str, user: str) -> Place:
    engine = face.engine
    workspace = engine.workspaces.named(name)
    run = face.run if name == "lab" else face.hidden_run
    task = engine.tasks.get(run.task_id)
    model = engine.models.newest(workspace.id, f"houses-{name}")
    pipeline = engine.pipelines.named(workspace.id, f"prices-{name}")
    version = pipeline.versions[0]
    deployment: Deployment = engine.planes.deploy(pipeline.id, version.id, "spec")
    names = {
        "w": name,
        "connection": engine.connections.named(f"store-{name}").id,
        "orchestration": task.orchestration_id,
        "sha": engine.orchestrations.get(task.orchestration_id).sha,
        "task": task.id,
        "run": run.id,
        "pipeline": pipeline.name,
        "version": version.version,
        "deployment": deployment.name,
        "topic": f"workspace-{workspace.id}-pipeline-{pipeline.name}-inference",
        "model_version": model.version,
        "user": user,
        "user_id": user,
        "realm": "master",
    }
    numbers = {
        "workspace": workspace.id,
        "model": model.id,
        "model_id": model.model_id,
        "pipeline_id": pipeline.id,
        "version_id": version.id,
        "deployment_id": deployment.id,
    }
    return Place(names, numbers)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with own_face(tmp_path_factory.mktemp("platform") / "state") as face:
        users, logins = face.engine.users, face.api.accesses[0].logins
        jane, gone = users.add("jane@example.com", PASSWORD), users.add("gone@example.com", PASSWORD)
        users.join(face.engine.workspaces.named("lab").id, jane.id, "OWNER")
        granted, lost = logins.granted(jane), logins.granted(gone)
        users.enable(gone, False)
        key = face.engine.key_for("log-in")
        claims = jwt.decode(str(granted["access_token"]), options={"verify_signature": False})
        tokens = {
            **face.tokens,
            "jane": str(granted["access_token"]),
            "a refresh token": str(granted["refresh_token"]),
            "a disabled user": str(lost["access_token"]),
            "an expired log-in": jwt.encode({**claims, "exp": int(time.time()) - 5}, key, "HS256"),
            "a foreign log-in": jwt.encode(claims, "another key that is long enough for it", "HS256"),
        }
        known = OwnFace(face.engine, face.http, tokens, face.run, face.hidden_run, face.api)
        yield Scene(known, placed(known, "lab", jane.id), placed(known, HIDDEN, jane.id))


_OF_ONE = ("connection", "orchestration", "task", "run", "version", "deployment", "topic")  # ids of the hidden one's
NOBODY = ["", "expired", "revoked", "a refresh token", "a disabled user", "an expired log-in", "a foreign log-in"]
OTHERS = ["limited", "elsewhere", "jane", "a run"]


def told_of(answer: Any) -> set[str]:
    """The words of the hidden workspace that an answer holds, but for what the question itself has said."""
    return {word for word in TELLING if word in answer.text}


def test_every_route_is_in_a_table(scene: Scene) -> None:
    found = {f"{method} {path}" for method, path in every_route(scene.face)}
    assert found == {name_of(one) for one in OPERATIONS} | set(NEEDS_NO_TOKEN) | set(ROUTES)


@pytest.mark.parametrize("who", NOBODY)
def test_who_has_no_valid_token_gets_nothing(scene: Scene, who: str) -> None:
    for route in ROUTES:
        scene.face.forgive()
        answer = scene.ask(route, who, scene.hidden)
        assert answer.status_code == 401, (route, answer.status_code, answer.text)
        assert not told_of(answer), route


@pytest.mark.parametrize("who", NOBODY[1:])
def test_nor_do_they_get_anything_from_our_own_api(scene: Scene, who: str) -> None:
    for operation in OPERATIONS:
        if operation.scope is not None:
            scene.face.forgive()
            path = operation.path.replace("{run_id}", scene.face.hidden_run.id)
            answer = scene.face.ask(operation.method, path, who, json={} if operation.body else None)
            assert answer.status_code == 401 and not told_of(answer), operation.path


@pytest.mark.parametrize("who", ["read", "plan"])
def test_a_token_that_may_not_run_opens_none_of_them(scene: Scene, who: str) -> None:
    for route in ROUTES:
        answer = scene.ask(route, who, scene.hidden)
        assert answer.status_code == 403, (route, answer.text)
        assert not told_of(answer), route


@pytest.mark.parametrize("who", OTHERS)
def test_who_is_not_in_a_workspace_gets_nothing_of_it(scene: Scene, who: str) -> None:
    before = standing(scene)
    for route, asked in ROUTES.items():
        answer = scene.ask(route, who, scene.hidden)
        assert SENTINEL not in answer.text, route
        if asked.names:
            assert answer.status_code in {403, 404, 409}, (route, answer.status_code, answer.text)
        else:
            assert answer.status_code < 500 and not told_of(answer), (route, answer.text)
            assert not [one for one in _OF_ONE if scene.hidden.names[one] in answer.text], (route, answer.text)
    assert standing(scene) == before


def standing(scene: Scene) -> object:
    """All there is of the hidden workspace, as somebody could have changed it."""
    engine, workspace = scene.face.engine, scene.hidden.numbers["workspace"]
    return (
        [(one.id, one.status, one.suspended) for one in engine.tasks.all() if one.workspace_id == workspace],
        [one.id for one in engine.models.all() if one.workspace_id == workspace],
        engine.pipelines.get(scene.hidden.numbers["pipeline_id"]),
        engine.deployments.get(scene.hidden.numbers["deployment_id"]),
        engine.connections.named(f"store-{HIDDEN}"),
        [(one.id, one.name) for one in engine.orchestrations.all() if one.workspace_id == workspace],
        [(one.id, one.name) for one in engine.workspaces.all()],
        [(one.id, one.enabled) for one in engine.users.all()],
    )


def test_who_is_in_a_workspace_sees_it_by_every_route_that_only_looks(scene: Scene) -> None:
    """Or the refusals above would tell nothing."""
    looking = [
        route
        for route in ROUTES
        if any(word in route for word in ("/get", "/list", "/v2/", "/infer/", "/logs/", "/graphql"))
    ]
    assert len(looking) > 25
    for route in looking:
        for who in ("limited", "jane"):
            answer = scene.ask(route, who, scene.lab)
            assert answer.status_code == 200, (route, who, answer.text)


@pytest.mark.parametrize("who", ["elsewhere", "jane", "a run"])
def test_no_field_of_graphql_tells_of_another_workspace(scene: Scene, who: str) -> None:
    hidden = scene.hidden
    asked = {
        "workspace_by_pk": f"(id: {hidden.numbers['workspace']})",
        "user_default_workspace": "",
        "pipeline": "",
        "pipeline_by_pk": f"(id: {hidden.numbers['pipeline_id']})",
        "pipeline_version_by_pk": f"(id: {hidden.numbers['version_id']})",
        "search_pipelines": '(search_term: "prices")',
        "deployment": "",
        "deployment_by_pk": f"(id: {hidden.numbers['deployment_id']})",
        "model": "",
        "model_by_pk": f"(id: {hidden.numbers['model']})",
        "model_config_by_pk": f"(id: {hidden.numbers['model']})",
        "search_models": '(search_term: "houses")',
        "orchestration_by_pk": f'(id: "{hidden.names["orchestration"]}")',
        "tag": "",
        "tag_by_pk": "(id: 1)",
    }
    query = schema().query_type
    assert query is not None and set(query.fields) == set(asked), "a field that is new has its entry"
    ids = {hidden.numbers[name] for name in ("pipeline_id", "model", "deployment_id", "version_id", "workspace")}
    mine = {scene.lab.numbers[name] for name in ("pipeline_id", "model", "deployment_id", "version_id", "workspace")}
    for field, arguments in asked.items():
        told = scene.face.ask("POST", "/v1/graphql", who, json={"query": f"{{ {field}{arguments} {{ id }} }}"}).json()
        if "errors" in told and "data" not in told:  # it has no id: what it has is named otherwise
            told = scene.face.ask(
                "POST", "/v1/graphql", who, json={"query": f"{{ {field}{arguments} {{ __typename }} }}"}
            ).json()
        found = (told.get("data") or {}).get(field)
        if field.endswith("_by_pk"):
            assert found is None, (field, told)
        else:
            seen = {one["id"] for one in found or [] if "id" in one}
            assert not seen & (ids - mine), (field, told)


def test_a_person_who_has_logged_in_uses_our_own_api_in_their_workspaces(scene: Scene) -> None:
    told = scene.face.ask("GET", "/v1/specrunner/whoami", "jane").json()
    assert told["who"] == "jane@example.com" and "lab" in told["workspaces"] and HIDDEN not in told["workspaces"]
    assert set(told["scopes"]) == {"read", "plan", "run", "apply"}
    live = scene.face.ask("GET", "/v1/specrunner/live", "jane")
    assert "job-lab" in live.text and not told_of(live)
    assert scene.face.ask("GET", "/v1/specrunner/audit", "jane").status_code == 403


def test_an_admin_who_has_logged_in_may_do_everything_there(scene: Scene) -> None:
    boss = scene.face.engine.users.add("boss@example.com", PASSWORD, admin=True)
    token = scene.face.api.accesses[0].logins.granted(boss)["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert scene.face.http.get("/v1/specrunner/audit", headers=headers).status_code == 200
    scene.face.engine.users.remove(boss)
    assert scene.face.http.get("/v1/specrunner/audit", headers=headers).status_code == 401


def test_nothing_but_the_two_routes_for_it_shows_details_even_to_an_admin(scene: Scene) -> None:
    """Every other route is asked about what is there, about what is not, and with a body that makes no sense."""
    nowhere = Place(dict.fromkeys(scene.lab.names, "nowhere"), dict.fromkeys(scene.lab.numbers, 4711))
    for route in ROUTES:
        method, _, path = route.partition(" ")
        nonsense = scene.face.ask(method, scene.lab.filled(path), "admin", content=b'{"name": ["store-lab"]}')
        answers = [scene.ask(route, "admin", nowhere), nonsense]
        looks = any(word in route for word in ("/list", "/logs/", "/get_", "/v2/", "GET ", "/create", "/graphql"))
        if looks and not route.endswith("connections/get_by_id"):
            answers.append(scene.ask(route, "admin", scene.lab))
        assert not [answer for answer in answers if SENTINEL in answer.text], route


def test_uploads_deployments_and_what_was_refused_stand_in_the_audit_log(scene: Scene) -> None:
    for route in ("POST /v1/api/models/upload", "POST /v1/api/pipelines/deploy", "POST /v1/api/pipelines/undeploy"):
        assert scene.ask(route, "jane", scene.lab).status_code == 200, route
    assert scene.ask("POST /v1/api/orchestration/upload", "jane", scene.lab).status_code == 202
    tagging = 'mutation { insert_tag(objects: {tag: "blue"}) { returning { id } } }'
    assert scene.face.ask("POST", "/v1/graphql", "jane", json={"query": tagging}).status_code == 200
    scene.ask("POST /v1/api/connections/get", "jane", scene.hidden)
    scene.ask("POST /v1/api/pipelines/deploy", "jane", scene.hidden)
    mine = [one for one in scene.face.engine.audit.latest(200) if one.who == "jane@example.com"]
    told = {(one.action, one.subject.split()[0], one.outcome) for one in mine if one.subject}
    version = str(scene.lab.numbers["version_id"])
    assert {
        ("upload", "model", "done"),
        ("upload", "orchestration", "done"),
        ("deploy", version, "done"),
        ("undeploy", str(scene.lab.numbers["deployment_id"]), "done"),
        ("apply", "insert_tag", "done"),
        ("details", f"store-{HIDDEN}", "failed: NotFound"),
        ("deploy", str(scene.hidden.numbers["version_id"]), "failed: NotFound"),
    } <= told
    assert {one.address for one in mine} == {"127.0.0.1"}


def test_a_connection_that_is_attached_nowhere_is_its_makers_alone(scene: Scene) -> None:
    face = scene.face
    sent = {"name": "mine", "type": "S3", "details": {"password": SENTINEL}}
    assert face.ask("POST", "/v1/api/connections/create", "jane", json=sent).status_code == 200
    for who, status in {"jane": 200, "limited": 404, "elsewhere": 404, "a run": 404, "run": 200}.items():
        answer = face.ask("POST", "/v1/api/connections/get", who, json={"name": "mine"})
        assert answer.status_code == status, (who, answer.text)
    assert "mine" not in face.ask("POST", "/v1/api/connections/list", "elsewhere", json={}).text


def test_nobody_removes_a_connection_that_others_use_too(scene: Scene) -> None:
    face = scene.face
    face.engine.connections.put("both", "S3", {}, {"password": SENTINEL}, ["lab", HIDDEN])
    for who in ("jane", "limited"):
        answer = face.ask("POST", "/v1/api/connections/delete", who, json={"name": "both"})
        assert answer.status_code == 403 and not told_of(answer)
    assert face.ask("POST", "/v1/api/connections/delete", str(Scope.RUN), json={"name": "both"}).status_code == 204
