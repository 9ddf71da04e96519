"""What the page of a chapter has over its notebook, which is portable Markdown and Python.

Words in bold become links to the glossary, if they are in it: chapters set a term in bold where
they introduce it. Titles of chapters in italics become links to them. What is to be noticed in a
picture gets a paragraph of its own, after the caption. Markers that only the tests need are left
out of the code.
"""

import re

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


def titles(env):
    """{title: page} of all pages, also by the part of a title before its colon or ", and"."""
    found = {}
    for page, node in env.titles.items():
        title = node.astext()
        found |= {re.split(r": |, and ", title)[0]: page, title: page}
    return found


def link_titles(app, doctree, docname):
    """Wrap the title of another page, where it stands in italics, in a link to that page."""
    pages = titles(app.env)
    for emphasis in doctree.findall(nodes.emphasis):
        page = pages.get(emphasis.astext().rstrip("."), docname)
        if page != docname and not isinstance(emphasis.parent, nodes.reference):
            uri = app.builder.get_relative_uri(docname, page)
            reference = nodes.reference("", "", *emphasis.children, refuri=uri, internal=True)
            emphasis.children = []
            emphasis += reference


def split_captions(app, doctree):
    """Begin a paragraph with "What to notice." where it follows a caption in one."""
    for paragraph in list(doctree.findall(nodes.paragraph)):
        for place, node in enumerate(paragraph.children):
            if isinstance(node, nodes.emphasis) and node.astext() == "What to notice." and place:
                rest = nodes.paragraph("", "", *paragraph.children[place:])
                paragraph.children = paragraph.children[:place]
                paragraph.parent.insert(paragraph.parent.index(paragraph) + 1, rest)
                break


MARKER = "# NBVAL_CHECK_OUTPUT\n"


def remove_markers(app, doctree):
    """Take the tests' marker out of the code that is shown."""
    for block in doctree.findall(nodes.literal_block):
        text = block.astext()
        if MARKER in text:
            # Sphinx highlights a block only if its source is its text.
            block.rawsource = text.replace(MARKER, "")
            block.children = []
            block += nodes.Text(block.rawsource)


def setup(app):
    app.connect("doctree-read", remove_markers)
    app.connect("doctree-read", split_captions)
    app.connect("doctree-resolved", link_terms)
    app.connect("doctree-resolved", link_titles)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
