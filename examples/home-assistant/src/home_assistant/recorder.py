"""The recorder's SQLite database, as far as its header tells. Offsets are those of sqlite.org/fileformat2.html, section 1.3."""

from wit_world.imports.tree import Tree

from home_assistant import files, trees

_MAGIC = b"SQLite format 3\0"
_HEADER = 100


def fault(tree: Tree) -> str | None:
    """What is wrong with the database; none where it seems whole. Only a program with SQLite can tell for sure."""
    entry = trees.file(tree, files.DATABASE)
    if entry is None:
        return "it is not there"
    header = tree.read(files.DATABASE, 0, _HEADER)
    if len(header) < _HEADER or not header.startswith(_MAGIC):
        return "it is no SQLite database"
    page = int.from_bytes(header[16:18])
    page = 65_536 if page == 1 else page
    if page < 512 or page & (page - 1) or entry.size % page:
        return f"its {entry.size} bytes are not pages of {page}"
    # The number of pages counts only where the program that wrote it last also wrote the change counter beside it.
    known = header[24:28] == header[92:96]
    pages = int.from_bytes(header[28:32])
    if known and pages and pages * page > entry.size and not trees.has_journal(tree):
        return f"it has {entry.size // page} of its {pages} pages"
    return None
