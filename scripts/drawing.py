"""Boxes, arrows and words as SVG."""

from __future__ import annotations

from html import escape

INK, SOFT, LINE, PAPER = "#1f2933", "#5c6b7a", "#9aa8b5", "#ffffff"
BLUE, GREEN, RED, AMBER, GREY = "#dbeafe", "#dcfce7", "#fee2e2", "#fef3c7", "#eef2f6"
EDGES = {BLUE: "#2563eb", GREEN: "#15803d", RED: "#b91c1c", AMBER: "#b45309", GREY: "#7b8794", PAPER: LINE}
SANS = "'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"
MONO = "Consolas, 'DejaVu Sans Mono', monospace"


class Drawing:
    """A picture of a size in pixels, on paper of its own so that it reads on dark pages too."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
            f' height="{height}" role="img" font-family="{SANS}" font-size="13" fill="{INK}">\n'
            f"<title>{escape(title)}</title>\n"
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
            f' orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="{SOFT}"/></marker></defs>\n'
            f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>\n'
        )
        self._parts: list[str] = []

    def box(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        fill: str = PAPER,
        *,
        dashed: bool = False,
        round_: int = 6,
    ) -> None:
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self._add(
            f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="{round_}" fill="{fill}"'
            f' stroke="{EDGES.get(fill, LINE)}"{dashes}/>'
        )

    def words(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: int = 13,
        bold: bool = False,
        mono: bool = False,
        colour: str = INK,
        anchor: str = "start",
        halo: bool = False,
    ) -> None:
        """One line; `y` is its base line. With `halo` it stays readable on top of a line."""
        style = ' font-weight="600"' if bold else ""
        style += f' font-family="{MONO}"' if mono else ""
        style += (
            f' stroke="{PAPER}" stroke-width="5" paint-order="stroke" stroke-linejoin="round"' if halo else ""
        )
        self._add(
            f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{anchor}"{style}>'
            f"{escape(text)}</text>"
        )

    def label(
        self, x: float, y: float, w: float, h: float, lines: list[str], fill: str, *, size: int = 13
    ) -> None:
        """A box with lines in its middle, the first one bold."""
        self.box(x, y, w, h, fill)
        top = y + h / 2 - (len(lines) - 1) * (size + 4) / 2 + size * 0.36
        for number, line in enumerate(lines):
            self.words(
                x + w / 2,
                round(top + number * (size + 4), 1),
                line,
                size=size if number == 0 else size - 1,
                bold=number == 0,
                colour=INK if number == 0 else SOFT,
                anchor="middle",
            )

    def arrow(
        self, *points: tuple[float, float], dashed: bool = False, both: bool = False, colour: str = SOFT
    ) -> None:
        path = "M" + " L".join(f"{x} {y}" for x, y in points)
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        start = ' marker-start="url(#head)"' if both else ""
        self._add(
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dashes}{start}'
            ' marker-end="url(#head)"/>'
        )

    def line(
        self, x1: float, y1: float, x2: float, y2: float, *, colour: str = LINE, dashed: bool = False
    ) -> None:
        dashes = ' stroke-dasharray="4 4"' if dashed else ""
        self._add(f'<path d="M{x1} {y1} L{x2} {y2}" stroke="{colour}"{dashes}/>')

    def dot(self, x: float, y: float, number: int) -> None:
        """A number in a circle, to refer to from the text."""
        self._add(f'<circle cx="{x}" cy="{y}" r="10" fill="#1d4ed8"/>')
        self.words(x, y + 4, str(number), size=12, bold=True, colour=PAPER, anchor="middle")

    def svg(self) -> str:
        return self._head + "\n".join(self._parts) + "\n</svg>\n"

    def _add(self, element: str) -> None:
        self._parts.append(element)
