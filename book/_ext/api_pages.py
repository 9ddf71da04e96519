"""The reference of the library's public names, from their docstrings.

Docstrings are plain text that reads well in a terminal. For the page, lines such as "features: ..."
become a list of arguments, and `code` becomes code.
"""

import re

ARGUMENT = re.compile(r"^(\w+(?:, \w+)*|\w+ and \w+): (?=\S)")
# Behind another on its line.
NEXT = re.compile(r"[.;] (?=(?:[a-zC]\w*(?:, \w+)*|[a-z]\w* and \w+): \S)")


def as_restructured(lines):
    """The lines of a docstring, with its arguments as a list and its code marked."""
    out, item, code = [], False, False
    for line in "\n".join(NEXT.sub(".\n", line) for line in lines).split("\n"):
        if line.lstrip().startswith(">>>"):
            code, item = True, False
            if out and out[-1].strip() and not out[-1].lstrip().startswith((">>>", "...")):
                out.append("")
        elif not line.strip():
            code = False
        if code:
            out.append(line)
            continue
        line = line.replace("*", r"\*").replace("|", r"\|")
        # What follows code must be apart from it, be it the s of a plural.
        line = re.sub(r"(?<!`)`([^`]+)`(?!`)(\w?)", lambda m: _literal(*m.groups()), line)
        if found := ARGUMENT.match(line):
            if not item and out and out[-1].strip():
                out.append("")
            out.append(f"* **{found[1]}**: {line[found.end() :]}")
            item = True
        elif not line.strip():
            out.append("")
            item = False
        elif item and (line.startswith("    ") or not out[-1].rstrip().endswith((".", ";"))):
            out.append("  " + line.strip())  # the sentence goes on
        else:
            if item:
                out.append("")
            item = False
            out.append(line)
    return out


def _literal(code, after):
    return f"``{code}``" + (rf"\ {after}" if after else "")


def process(app, what, name, obj, options, lines):
    lines[:] = as_restructured(lines)


def setup(app):
    app.connect("autodoc-process-docstring", process)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
