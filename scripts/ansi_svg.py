#!/usr/bin/env python3
"""What `tmux capture-pane -e -p` printed (standard input) as an SVG picture (standard output)."""
import html
import re
import sys

CELL_WIDTH, CELL_HEIGHT, MARGIN = 8.4, 18, 14
PAPER, INK = "#16181d", "#d8dce4"
COLOURS = {31: "#f0716b", 32: "#7cc885", 33: "#e5b95c", 34: "#6ca5e8", 35: "#c58be0", 36: "#5fc3c9"}


def runs(line, style):
    """(column, text, style) of each piece of one line. `style` lasts from line to line."""
    column = 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if not part.startswith("\x1b["):
            if part:
                yield column, part, dict(style)
                column += len(part)
            continue
        for code in [int(code or 0) for code in part[2:-1].split(";")]:
            if code == 0:
                style.clear()
            elif code in (1, 2, 7):
                style[code] = True
            elif code in (22, 27):
                for off in (1, 2) if code == 22 else (7,):
                    style.pop(off, None)
            elif code in COLOURS:
                style["ink"] = COLOURS[code]
            elif code == 39:
                style.pop("ink", None)


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    columns = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines)
    width, height = round(columns * CELL_WIDTH + 2 * MARGIN), len(lines) * CELL_HEIGHT + 2 * MARGIN
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">')
    print(f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>')
    print('<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">')
    lasting = {}
    for row, line in enumerate(lines):
        y = MARGIN + row * CELL_HEIGHT
        for column, text, style in runs(line, lasting):
            x, ink = MARGIN + column * CELL_WIDTH, style.get("ink", INK)
            length = len(text) * CELL_WIDTH
            if style.get(7):
                print(f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="{CELL_HEIGHT}" fill="{ink}"/>')
                ink = PAPER
            extra = (' font-weight="bold"' if style.get(1) else "") + (' opacity="0.6"' if style.get(2) else "")
            for words in re.finditer(r"\S+(?: \S+)*", text):  # blanks would be stretched
                x = MARGIN + (column + words.start()) * CELL_WIDTH
                print(
                    f'<text x="{x:.1f}" y="{y + 13.5}" textLength="{len(words.group()) * CELL_WIDTH:.1f}" '
                    f'lengthAdjust="spacingAndGlyphs" fill="{ink}"{extra}>{html.escape(words.group())}</text>')
    print("</g>\n</svg>")


if __name__ == "__main__":
    main()
