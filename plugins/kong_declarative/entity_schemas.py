"""The schemas of a gateway with certain plugins: of every kind of entity, and of a declarative file as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kong_declarative import further_kinds
from kong_declarative.bundled_schemas import UNSUPPORTED as UNSUPPORTED_BUNDLED
from kong_declarative.core_schemas import KINDS, ROUTE_BY_PROTOCOL, UNSUPPORTED_KINDS, Kind
from kong_declarative.further_kinds import UNJUDGED_KINDS
from kong_declarative.schema import Field, Schema
from kong_declarative.typedefs import NOT_SUPPORTED, PROTOCOLS, not_supported

FORMAT_VERSIONS = ["1.1", "2.1", "3.0"]

_REMARKS: list[dict[str, Any]] = [
    {"_comment": {"type": "string"}},
    {"_ignore": {"type": "array", "elements": {"type": "any"}}},
]


class EntitySchemas:
    """`kinds` that this gateway has, `of` each the schema of one entity, `file` the schema of kong.yml."""

    def __init__(self, plugins: Mapping[str, Schema], *, all_kinds: bool = False) -> None:
        """`plugins`: what each plugin that is enabled adds to the schema of plugin entities.

        `all_kinds`: also what the embedded gateway cannot honour (`further_kinds`), for judging a file only.
        """
        self.all_kinds = all_kinds
        self.kinds: dict[str, Kind] = (
            further_kinds.ALL_KINDS
            if all_kinds
            else {name: kind for name, kind in KINDS.items() if kind.plugin is None or kind.plugin in plugins}
        )
        self._children = {
            kind: [
                (child.name, field)
                for child in self.kinds.values()
                for field, parent in child.foreign.items()
                if parent == kind
            ]
            for kind in self.kinds
        }
        http = Schema(ROUTE_BY_PROTOCOL)
        routes = dict.fromkeys(PROTOCOLS, http)
        if all_kinds:
            other = Schema(further_kinds.ROUTE_BY_OTHER_PROTOCOL)
            routes |= {name: other for name in PROTOCOLS if name not in ("http", "https")}
        self._subschemas: dict[str, dict[str, Schema]] = {"plugins": dict(plugins), "routes": routes}
        self.of: Mapping[str, Schema] = {
            name: self._schema(kind.definition, name) for name, kind in self.kinds.items()
        }
        self.file = _FileSchema(self)

    def children(self, kind: str) -> Sequence[tuple[str, str]]:
        """Kinds of entities that can be written inside one of `kind`, with the field that then refers to it."""
        return self._children[kind]

    def _schema(self, definition: Mapping[str, Any], kind: str) -> Schema:
        if kind == "plugins":
            return _PluginSchema(definition, records_required=True, subschemas=self._subschemas[kind])
        return Schema(definition, records_required=True, subschemas=self._subschemas.get(kind))

    def written(self, kind: str, nested: bool = False) -> Schema:
        """The schema of an entity as a file spells it: with the entities inside it."""
        fields: list[dict[str, Any]] = []
        for entry in self.kinds[kind].definition["fields"]:
            for name, field in entry.items():
                inside = nested and field["type"] == "foreign"
                fields.append(
                    {name: {**field, "eq": None, "required": False, "default": None} if inside else field}
                )
        schema = self._schema({**self.kinds[kind].definition, "fields": [*fields, *_REMARKS]}, kind)
        for child, _ in self.children(kind):
            schema.fields[child] = _listed(self.written(child, nested=True))
        return schema


class _PluginSchema(Schema):
    """Plugins by name; one that Kong would know is refused with another text than one that it would not."""

    def validate(self, data: Mapping[str, Any], full: bool = True) -> dict[str, Any]:
        name = data.get("name")
        if isinstance(name, str) and name in UNSUPPORTED_BUNDLED and name not in self.subschemas:
            return {"name": f"plugin '{name}' is {NOT_SUPPORTED}"}
        return super().validate(data, full)


class _FileSchema(Schema):
    """A declarative file: its version, and the lists of entities at the top."""

    def __init__(self, schemas: EntitySchemas) -> None:
        if schemas.all_kinds:
            others: dict[str, Any] = {
                kind: {"type": "array", "elements": {"type": "any"}} for kind in UNJUDGED_KINDS
            }
        else:
            unsupported = {"type": "any", "custom_validator": not_supported}
            others = dict.fromkeys(UNSUPPORTED_KINDS, unsupported)
        super().__init__(
            {
                "name": "declarative_config",
                "fields": [
                    {"_format_version": {"type": "string", "required": True, "one_of": FORMAT_VERSIONS}},
                    {"_transform": {"type": "boolean", "default": True}},
                    *_REMARKS,
                    *({kind: field} for kind, field in others.items()),
                ],
            }
        )
        for kind in schemas.kinds:
            self.fields[kind] = _listed(schemas.written(kind))


def _listed(schema: Schema) -> Field:
    elements = Field({"type": "record"}, required=True)
    elements.record = schema
    listed = Field({"type": "array"})
    listed.elements = elements
    return listed
