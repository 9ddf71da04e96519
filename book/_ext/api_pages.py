"""The reference of the library's public names, from their docstrings.

Docstrings are plain text that reads well in a terminal. For the page, lines such as "features: ..."
become a list of arguments, lines such as '    "option"  text' below one a list of its options, and
`code` becomes code.
"""

import re

ARGUMENT = re.compile(r"^(?!NC\d)(\w+(?:, \w+)*|\w+ and \w+): (?=\S)")
OPTION = re.compile(r'^ +"([^"]+)" {2,}(?=\S)')
MARKED = re.compile(r"(?<!`)`([^`]+)`(?!`)(\w?)|(?<!\w)([DT])_(LR|MP)(?!\w)")
# Behind another on its line.
NEXT = re.compile(r"[.;] (?=(?:[a-zC]\w*(?:, \w+)*|[a-z]\w* and \w+): \S)")


def as_restructured(lines):
    """The lines of a docstring, with its arguments as a list and its code marked."""
    out, item, options, code = [], False, False, False
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
        line = MARKED.sub(_marked, line)
        if found := ARGUMENT.match(line):
            if not item and out and out[-1].strip():
                out.append("")
            out.append(f"* **{found[1]}**: {line[found.end() :]}")
            item, options = True, False
        elif item and (found := OPTION.match(line)):
            if not options:
                out.append("")
            out.append(f'  * "{found[1]}": {line[found.end() :]}')
            options = True
        elif options and line.startswith("    "):
            out.append("    " + line.strip())
        elif not line.strip():
            out.append("")
            item = options = False
        elif item and (line.startswith("    ") or not out[-1].rstrip().endswith((".", ";"))):
            out.append("  " + line.strip())  # the sentence goes on
        else:
            if item:
                out.append("")
            item = options = False
            out.append(line)
    return out


def _marked(found):
    """`code` or D_LR as the page sets it, apart from what stands before and behind it."""
    code, after, symbol, index = found.groups()
    if symbol:
        return rf"\ :math:`{symbol}_{{{index}}}`\ "
    return f"``{code}``" + (rf"\ {after}" if after else "")  # the s of a plural, say


def process(app, what, name, obj, options, lines):
    lines[:] = as_restructured(lines)


def setup(app):
    app.connect("autodoc-process-docstring", process)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
