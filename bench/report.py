"""Runs in turn, medians, tables."""
import statistics


def interleaved(peers, runs, body):
    """One uncounted run of each to warm up, then runs of each in turn. Returns the figures by peer."""
    figures = {peer: [] for peer in peers}
    for run in range(runs + 1):
        for peer in peers:
            figure = body(peer, run)
            if run:
                figures[peer].append(figure)
    return figures


def median(figures, key):
    return statistics.median(figure[key] for figure in figures)


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)
