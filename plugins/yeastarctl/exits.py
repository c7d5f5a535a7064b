"""Exit statuses of `yeastarctl`, the same for every command."""

OK = 0
FOUND = 1  # a problem was found, or the gateway refused
USAGE = 2  # click's own status for a wrong call
UNREACHABLE = 3  # nothing answered at the address that was given

EPILOG = (
    "Exit status: 0 success · 1 problems found, or the gateway refused · "
    "2 wrong usage · 3 nothing answered at the address."
)
