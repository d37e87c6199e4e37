"""Which offsets of a topic may be committed: of each partition the first one that somebody still needs."""

from collections import defaultdict


class Ledger:
    """Offsets taken and not yet released. Knows no Kafka.

    Records are released in any order, a commit is one number a partition: everything below it is done with, so whatever
    is not done is read again after a crash. Offsets may have gaps, as compaction leaves them.

        taken      3  4  7  8  9
        released   x  x     x  x      position: 7
    """

    def __init__(self) -> None:
        self._held: defaultdict[int, set[int]] = defaultdict(set)
        self._next: dict[int, int] = {}

    def take(self, partition: int, offset: int) -> None:
        """The record was read and is needed until it is released."""
        self._held[partition].add(offset)
        self._next[partition] = max(self._next.get(partition, 0), offset + 1)

    def release(self, partition: int, offset: int) -> None:
        """Nobody needs the record any more."""
        self._held[partition].discard(offset)

    def positions(self) -> dict[int, int]:
        """Where a successor has to begin, for each partition that was read from."""
        return {p: min(self._held[p], default=after) for p, after in self._next.items()}

    def taken(self) -> dict[int, int]:
        """Offset after the last one taken, for each partition that was read from."""
        return dict(self._next)

    def held(self) -> int:
        """Number of offsets that are not released."""
        return sum(map(len, self._held.values()))

    def forget(self) -> None:
        """The partitions are given up; what is not released will be read again, here or elsewhere."""
        self._held.clear()
        self._next.clear()
