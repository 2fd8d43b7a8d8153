"""What operators decided by hand: which identities are one entity, and which are not."""

from __future__ import annotations

from vtoc_bots.core.errors import UsageError
from vtoc_bots.core.tracks.identity import Identity, address_in

Couple = frozenset[str]


def couple(a: str, b: str) -> Couple:
    """Two identities' keys, in no order. Raises UsageError if they are the same."""
    if a == b:
        raise UsageError(f"tracks: {a} can't be joined with or split from itself. Name two tracks.", word=b)
    return frozenset((a, b))


class Decisions:
    """Joins and splits by identity key; each holds until it is undone, whether or not the identities report."""

    def __init__(self) -> None:
        self.joins: set[Couple] = set()
        self.splits: set[Couple] = set()

    def joined_with(self, key: str) -> frozenset[str]:
        """Every key that joins make one entity with this one, itself included."""
        found = {key}
        queue = [key]
        while queue:
            here = queue.pop()
            for join in self.joins:
                if here in join:
                    beyond = join - found
                    found |= beyond
                    queue.extend(beyond)
        return frozenset(found)

    def joined_keys(self) -> list[str]:
        """Every key of a join, in order."""
        return sorted({key for join in self.joins for key in join})

    def forbids(self, guest: Identity, host: Identity) -> bool:
        """Whether a split stands between two identities, or those they are merged with."""
        if not self.splits:
            return False
        return any(
            frozenset((a.key, b.key)) in self.splits for a in (guest, *guest.guests) for b in (host, *host.guests)
        )

    def join(self, a: str, b: str) -> None:
        """Hold two keys to be one entity. Raises UsageError if two different ICAO addresses would be merged."""
        pair = couple(a, b)
        keys = self.joined_with(a) | self.joined_with(b)
        addresses = sorted({address for address in map(address_in, keys) if address is not None})
        if len(addresses) > 1:
            raise UsageError(
                f"tracks: {addresses[0]} and {addresses[1]} are different ICAO addresses, which are never merged. "
                "Join each with its own track only.",
                word=b,
            )
        self.splits.discard(pair)
        self.joins.add(pair)

    def split(self, a: str, b: str) -> None:
        """Hold two keys to be different entities. Raises UsageError if other joins still make them one."""
        pair = couple(a, b)
        standing = self.joins - {pair}
        self.joins, before = standing, self.joins
        if b in self.joined_with(a):
            self.joins = before
            raise UsageError(f"tracks: {a} and {b} are joined through another track. Undo that join first.", word=b)
        self.splits.add(pair)

    def undo(self, a: str, b: str) -> bool:
        """Forget what was decided of two keys. False if nothing was."""
        pair = couple(a, b)
        decided = pair in self.joins or pair in self.splits
        self.joins.discard(pair)
        self.splits.discard(pair)
        return decided
