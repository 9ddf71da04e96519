"""Words in bold in a chapter become links to the glossary, if they are in it.

Chapters are portable Markdown, which has no way to say so; they set a term in bold where they
introduce it.
"""

from docutils import nodes


def terms(env):
    """{term in lower case: (page, anchor)} of the glossary."""
    objects = env.get_domain("std").objects
    return {name.lower(): where for (kind, name), where in objects.items() if kind == "term"}


def find(text, glossary):
    """(page, anchor) of a word, in singular or plural; None if it is not in the glossary."""
    word = " ".join(text.lower().strip(" .:,").split())
    return glossary.get(word) or glossary.get(word.removesuffix("s"))


def link_terms(app, doctree, docname):
    """Wrap the text of every bold glossary term of a chapter in a link."""
    if not docname.startswith("notebooks/"):
        return
    glossary = terms(app.env)
    for strong in doctree.findall(nodes.strong):
        where = find(strong.astext(), glossary)
        if where and not isinstance(strong.parent, nodes.reference):
            uri = f"{app.builder.get_relative_uri(docname, where[0])}#{where[1]}"
            reference = nodes.reference("", "", *strong.children, refuri=uri, internal=True)
            reference["classes"].append("glossary-term")
            strong.children = []
            strong += reference


def setup(app):
    app.connect("doctree-resolved", link_terms)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
