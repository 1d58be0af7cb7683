"""Reading Odoo's log: what in it is a complaint about this addon."""

import re

LINE = re.compile(
    r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ \d+ "
    r"(?P<level>[A-Z]+) (?P<database>\S+) (?P<logger>\S+): (?P<text>.*)$"
)
BAD = {"WARNING", "ERROR", "CRITICAL"}

# Warnings that Odoo or the machine cause without any help of the addon.
# (logger, start of the text as a regular expression, why it is not ours)
NOT_OURS = ()


def is_ours(logger, text):
    """Whether a warning has to be mended here."""
    return not any(
        re.fullmatch(name, logger) and re.match(start, text)
        for name, start, _why in NOT_OURS
    )


def entries(log):
    """(level, logger, lines) of each entry of a log file."""
    entry = None
    for line in log.read_text(errors="replace").splitlines():
        match = LINE.match(line)
        if match:
            if entry:
                yield entry
            entry = (match["level"], match["logger"], [match["text"]])
        elif entry:
            entry[2].append(line)
    if entry:
        yield entry


def complaints(log):
    """The warnings and errors of a log that are ours, one line each."""
    return [
        f"{level} {logger}: {lines[0]}"
        for level, logger, lines in entries(log)
        if level in BAD and is_ours(logger, lines[0])
    ]


def errors(log):
    """The errors of a log that are ours."""
    return [line for line in complaints(log) if not line.startswith("WARNING")]


def last_traceback(log, longest=60):
    """The last entry with a traceback, else the last errors, else the end."""
    found = [entry for entry in entries(log) if entry[0] in BAD]
    traced = [entry for entry in found if any("Traceback" in x for x in entry[2])]
    for level, logger, lines in (traced or found)[-1:]:
        return [f"{level} {logger}: {lines[0]}", *lines[1:]][-longest:]
    return log.read_text(errors="replace").splitlines()[-longest:]
