"""Writes the migrations as one C file: embed.py OUT IN..., numbered 1, 2, 3 ... in the order given."""
import pathlib
import sys

out, sources = sys.argv[1], [pathlib.Path(name) for name in sys.argv[2:]]
for place, source in enumerate(sources, 1):
    if int(source.name[:4]) != place:
        sys.exit(f"{source.name}: migration {place:04} is missing or named twice")

lines = ['#include "store/sqlite/schema.h"', "", "const char *const bh_migrations[] = {"]
for source in sources:
    for line in source.read_text(encoding="utf-8").splitlines():
        text = line.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'\t"{text}\\n"')
    lines.append("\t,")
lines += ["};", f"const unsigned bh_migration_count = {len(sources)};", ""]
pathlib.Path(out).write_text("\n".join(lines), encoding="utf-8")
