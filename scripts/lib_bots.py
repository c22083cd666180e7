"""What scripts/bots.py tells of ccxt in Python."""

# What the table of what is counted begins with.
HEAD = "| Exchange | Calls | As whole requests | By raw MACs | In async_support | WebSockets in pro |"


def is_same(row):
    """Whether all that is signed for an exchange comes out the same."""
    return bool(row["signed"]) and row["same"] == row["signed"]


def markdown(version, table, again, logins, why):
    """The lines about Python: `table` of ccxt itself, `again` of its async_support, `logins` of its pro. `why` tells the
    reason of an exchange that is not counted."""
    same = [name for name, row in table.items() if is_same(row)]
    in_async = [name for name in same if is_same(again[name]) and again[name]["signed"] == table[name]["signed"]]
    total, whole = (sum(table[name][kind] for name in same) for kind in ("signed", "whole"))
    signed = {name: row for name, row in logins.items() if row["signed"] and name in same}
    right = [name for name, row in signed.items() if is_same(row)]
    of_logins = sum(signed[name]["signed"] for name in right)
    yield f"ccxt {version} for Python: {len(same)} of {len(table)} exchanges, {total} calls, {total - whole} of them by raw MACs."
    yield f"In async_support: {len(in_async)} exchanges, the same calls. In pro: {len(right)} of the {len(signed)} exchanges that sign"
    yield f"for their WebSockets, {of_logins} logins and messages."
    yield from ("", HEAD, "|---|---|---|---|---|---|")
    for name in same:
        row = table[name]
        other = again[name]["signed"] if name in in_async else f"{again[name]['same']} of {again[name]['signed']}"
        cells = (name, row["signed"], row["whole"], row["signed"] - row["whole"], other, of_pro(logins.get(name)))
        yield f"| {' | '.join(map(str, cells))} |"
    yield from ("", "| Not counted | Same calls | Why |", "|---|---|---|")
    for name, row in table.items():
        if name not in same:
            yield f"| {name} | {row['same']} of {row['signed']} | {why(name)} |"


def of_pro(row):
    """How many of an exchange's logins and messages are the same."""
    if row is None or not row["signed"]:
        return "none signed"
    same = str(row["signed"]) if is_same(row) else f"{row['same']} of {row['signed']}"
    return f"{same}, {row['whole']} as the agent's own" if row["whole"] else same


def counted(lines):
    """The exchanges that lines of the tables count."""
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    rows = [row for row in cells if len(row) == 6 and row[1].isdigit()]
    exchanges = {row[0] for row in rows} | {f"{row[0]} in async_support" for row in rows if row[4].isdigit()}
    exchanges |= {f"{row[0]} in pro" for row in rows if row[5][0].isdigit() and " of " not in row[5]}
    return exchanges


def lost(inside, lines):
    """What the page's lines count, and these do not; what a sample has no signed call of was not tried."""
    idle = {line.split(" ")[1] for line in lines if "| 0 of 0 |" in line}
    missing = counted(inside) - counted(lines)
    return sorted(name for name in missing if name.split(" ")[0] not in idle)
