"""Tags on models and pipelines, and searching by name or tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from specrunner.sdk import display
from specrunner.sdk.entity import Listing
from specrunner.sdk.models import ModelVersion
from specrunner.sdk.pipelines import Pipeline, PipelineList
from specrunner.sdk.session import Session

_TAG = "id tag model_tags{model{id model_id model_version}} pipeline_tags{pipeline{id pipeline_id workspace{id}}}"
_LIST = f"{{ tag(order_by: {{id: desc}}) {{ {_TAG} }} }}"
_ONE = f"query($id: bigint!) {{ tag_by_pk(id: $id) {{ {_TAG} }} }}"
_CREATE = "mutation($tag: String) { insert_tag(objects: [{tag: $tag}]) { returning { id tag } } }"
_ON_MODEL = """mutation($tag: bigint, $id: bigint) {
  insert_model_tag(objects: [{tag_id: $tag, model_id: $id}]) { returning { model_id tag_id } } }"""
_OFF_MODEL = """mutation($tag: bigint, $id: bigint) {
  delete_model_tag(where: {tag_id: {_eq: $tag}, model_id: {_eq: $id}}) { returning { model_id tag_id } } }"""
_ON_PIPELINE = """mutation($tag: bigint, $id: bigint) {
  insert_pipeline_tag(objects: [{tag_pk_id: $tag, pipeline_pk_id: $id}]) { returning { pipeline_pk_id } } }"""
_OFF_PIPELINE = """mutation($tag: bigint, $id: bigint) {
  delete_pipeline_tag(where: {tag_pk_id: {_eq: $tag}, pipeline_pk_id: {_eq: $id}}) { returning { pipeline_pk_id } } }"""
_MODELS = "query($words: String) { search_models(args: {search: $words}) { id model_id } }"
_PIPELINES = """query($words: String, $where: pipeline_version_bool_exp) {
  search_pipelines(args: {search: $words}, where: $where) { pipeline { pipeline_id workspace { id } } } }"""


class Tag:
    """One tag. `data` is what the platform told, `id` and `tag` at least."""

    def __init__(self, session: Session, data: Mapping[str, Any]) -> None:
        self._session = session
        self._data = dict(data)

    def id(self) -> int:
        """The platform's number for it."""
        return int(self._data["id"])

    def tag(self) -> str:
        """Its words."""
        return str(self._data["tag"])

    def add_to_model(self, model_id: int) -> None:
        """Put it on the version of a model with that number."""
        self._session.graphql(_ON_MODEL, {"tag": self.id(), "id": model_id})

    def remove_from_model(self, model_id: int) -> None:
        """Take it off the version of a model with that number."""
        self._session.graphql(_OFF_MODEL, {"tag": self.id(), "id": model_id})

    def add_to_pipeline(self, pipeline_pk_id: int) -> None:
        """Put it on the pipeline with that number."""
        self._session.graphql(_ON_PIPELINE, {"tag": self.id(), "id": pipeline_pk_id})

    def remove_from_pipeline(self, pipeline_pk_id: int) -> None:
        """Take it off the pipeline with that number."""
        self._session.graphql(_OFF_PIPELINE, {"tag": self.id(), "id": pipeline_pk_id})

    def list_model_versions(self) -> list[ModelVersion]:
        """The versions of models that have it."""
        found = self._session.graphql(_ONE, {"id": self.id()})["tag_by_pk"] or {"model_tags": []}
        return [ModelVersion(self._session, item["model"]) for item in found["model_tags"]]

    def list_models(self) -> list[ModelVersion]:
        """The same, by its older name."""
        return self.list_model_versions()

    def list_pipelines(self) -> PipelineList:
        """The pipelines that have it."""
        found = self._session.graphql(_ONE, {"id": self.id()})["tag_by_pk"] or {"pipeline_tags": []}
        return PipelineList(_pipeline(self._session, item["pipeline"]) for item in found["pipeline_tags"])

    def __repr__(self) -> str:
        return f"Tag(id={self.id()}, tag={self.tag()!r})"

    def _repr_html_(self) -> str:
        return display.fields_table({"ID": self.id(), "Tag": self.tag()})


class TagList(Listing[Tag]):
    """Tags, shown as a table in notebooks."""

    _columns = ("id", "tag", "models", "pipelines")
    _nothing = "(no tags)"

    def _row(self, one: Tag) -> Sequence[object]:
        models = [item["model"] for item in one._data.get("model_tags") or ()]
        pipelines = [item["pipeline"]["pipeline_id"] for item in one._data.get("pipeline_tags") or ()]
        named = ", ".join(f"{model['model_id']} {model['model_version']}" for model in models)
        return one.id(), one.tag(), named, ", ".join(pipelines)


def _pipeline(session: Session, data: Mapping[str, Any]) -> Pipeline:
    return Pipeline(session, str(data["pipeline_id"]), int(data["workspace"]["id"]))


def create_tag(session: Session, words: str) -> Tag:
    """A new tag."""
    return Tag(session, session.graphql(_CREATE, {"tag": words})["insert_tag"]["returning"][0])


def list_tags(session: Session) -> TagList:
    """Every tag, newest first."""
    return TagList(Tag(session, item) for item in session.graphql(_LIST, {})["tag"])


def search_models(session: Session, words: str | None) -> list[ModelVersion]:
    """The versions of models whose name, hash or tag has the words; all without words. Newest first."""
    found = session.graphql(_MODELS, {"words": words or ""})["search_models"]
    return [ModelVersion(session, item) for item in found]


def search_pipelines(
    session: Session, words: str | None, deployed: bool | None, created: tuple[str | None, str | None]
) -> PipelineList:
    """The pipelines whose name or tag has the words, that are deployed or not, created between two instants."""
    where: dict[str, Any] = {}
    if deployed is not None:
        where["pipeline"] = {"deployment": {"deployed": {"_eq": deployed}}}
    limits = {name: value for name, value in (("_gte", created[0]), ("_lte", created[1])) if value is not None}
    if limits:
        where["created_at"] = limits
    found = session.graphql(_PIPELINES, {"words": words or "", "where": where})["search_pipelines"]
    return PipelineList(_pipeline(session, item["pipeline"]) for item in found)
