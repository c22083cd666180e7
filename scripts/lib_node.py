"""What scripts/bots.py tells of ccxt in Node."""

# What the table of what is counted begins with.
HEAD = "| Exchange in Node | Calls | As whole requests | By raw MACs |"


def is_same(row):
    """Whether all that is signed for an exchange comes out the same."""
    return bool(row["signed"]) and row["same"] == row["signed"]


def markdown(version, table, elsewhere, why):
    """The lines about Node. `elsewhere`: the exchanges that are not counted in Python, with their reasons there; `why` tells
    the reason of one that is."""
    same = [name for name, row in sorted(table.items()) if is_same(row)]
    total, whole = (sum(table[name][kind] for name in same) for kind in ("signed", "whole"))
    yield f"ccxt {version} for Node: {len(same)} of {len(table)} exchanges, {total} calls, {total - whole} of them by raw MACs."
    yield from ("", HEAD, "|---|---|---|---|")
    for name in same:
        row = table[name]
        yield f"| {name} | {row['signed']} | {row['whole']} | {row['signed'] - row['whole']} |"
    others = [name for name in sorted(table) if name not in same]
    as_there = [name for name in others if name in elsewhere]
    yield from ("", f"Not counted in Node for the reasons that are told above: {', '.join(as_there)}.")
    own = [name for name in others if name not in elsewhere]
    if own:
        yield from ("", "| Not counted in Node alone | Same calls | Why |", "|---|---|---|")
    for name in own:
        yield f"| {name} | {table[name]['same']} of {table[name]['signed']} | {why(name)} |"


def lost(lines, table):
    """The exchanges that lines of the page count and whose calls are not the same; what a sample has no signed call of was
    not tried."""
    rows = []
    for line in lines[lines.index(HEAD) + 2 :] if HEAD in lines else []:
        if not line.startswith("| "):
            break
        rows.append(line.split(" ")[1])
    return [name for name in rows if not is_same(table.get(name, {"signed": 1, "same": 0})) and table.get(name, {"signed": 1})["signed"]]
