"""The documentation, held against the code: every block of the README and of `docs/` is run here.

    pages.py     what a page is made of: fenced blocks, the comments before them, links, tables
    hosts.py     https hosts named `*.example`, played on loopback
    __main__.py  runs one page: `python -m tests.docs docs/tutorial.md`

What a page says in comments, which a reader of the rendered page doesn't see:

    <!-- setup ... -->         Python, run on the stage: hosts and their scripts (`tests.servers`)
    <!-- check ... -->         Python, run on the stage: asserts what the hosts saw; `page` is the
                               page's own namespace
    <!-- output -->            the next block is what the last one printed (`...` stands for any)
    <!-- raises: Name -->      the next block ends with this error, whose last line is its output
    <!-- file: name.py -->     the next block is written to this file (a diff changes it)
    <!-- not run: reason -->   the next block is not run
    <!-- written by: command -->
                               what follows until the next comment is that command's to write
    <!-- end of what is written -->

Rules:

1. A page's blocks run in order, in one namespace and one process of their own; warnings are errors.
2. The stage's names are not the page's: what a reader sees needs nothing that a reader doesn't see.
3. Whatever a block prints stands on the page, and nothing else does.
4. A block can also be typed into a session of Python, line by line, where an empty line ends what
   is indented: there is none within a class, and one below whatever is followed by more.
"""
