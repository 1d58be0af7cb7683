"""The story that bin/demo tells, through the interfaces people and machines have.

`browser.py` is a browser without a screen, `tell.py` prints and checks, `people.py` are
those who act, and `chapters.py` is the order of what happens. It runs with the
provisioned Python, because the merchant uses the `stripe` package.
"""
