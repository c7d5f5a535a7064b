"""Header lines as nginx keeps them: found without regard to case, several a name, each with its own spelling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class Headers:
    """A table of header lines.

    Names and values are byte strings held as Latin-1 text: one character a byte, whatever the peer meant by it.
    """

    __slots__ = ("_entries", "_underscores")

    def __init__(self) -> None:
        self._underscores = False
        # lower-case name → the lines' names and, beside them, their values
        self._entries: dict[str, tuple[list[str], list[str]]] = {}

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._entries

    def get(self, name: str) -> str | None:
        """The first value."""
        entry = self._entries.get(name.lower())
        return entry[1][0] if entry else None

    def get_all(self, name: str) -> list[str]:
        entry = self._entries.get(name.lower())
        return entry[1] if entry else []

    def loose(self, name: str) -> list[str]:
        """The values where `-` and `_` are the same, as in nginx's variables."""
        key = name.replace("_", "-").lower()
        entry = self._entries.get(key)
        if entry is None and self._underscores:
            entry = next(
                (item for other, item in self._entries.items() if other.replace("_", "-") == key), None
            )
        return entry[1] if entry else []

    def variable(self, name: str) -> str | None:
        """The value of nginx's `$http_name`: several values are joined with `, `."""
        values = self.loose(name)
        return ", ".join(values) if values else None

    def add(self, name: str, value: str) -> None:
        entry = self._entries.get(name.lower())
        if entry is None:
            self._entries[name.lower()] = ([name], [value])
            if "_" in name:
                self._underscores = True
        else:
            entry[0].append(name)
            entry[1].append(value)

    def set(self, name: str, value: str | Iterable[str]) -> None:
        """Replace every value of `name`; the spelling of a name that is there already stays. No value: remove."""
        values = [value] if isinstance(value, str) else list(value)
        key = name.lower()
        if not values:
            self._entries.pop(key, None)
            return
        entry = self._entries.get(key)
        spelling = entry[0][0] if entry else name
        self._entries[key] = ([spelling] * len(values), values)
        if "_" in name:
            self._underscores = True

    def remove(self, name: str) -> None:
        self._entries.pop(name.lower(), None)

    def items(self) -> Iterator[tuple[str, list[str], list[str]]]:
        """(lower-case name, names, values)."""
        for key, (names, values) in self._entries.items():
            yield key, names, values

    def table(self, limit: int = 100) -> dict[str, str | list[str]]:
        """As `ngx.req.get_headers` gives it: lower-case names; a list where there are several values.

        `limit` counts lines, as ngx_lua does; 0 is no limit.
        """
        result: dict[str, str | list[str]] = {}
        count = 0
        for key, (_, values) in self._entries.items():
            if limit and count + len(values) > limit:
                values = values[: limit - count]
                if not values:
                    break
            count += len(values)
            result[key] = values[0] if len(values) == 1 else list(values)
        return result
