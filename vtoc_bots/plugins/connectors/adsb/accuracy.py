"""How exact a reported position is, in metres, from what the report says about its quality."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EPU_M: Final[tuple[float | None, ...]] = (
    None, 18_520.0, 7_408.0, 3_704.0, 1_852.0, 926.0, 555.6, 185.2, 92.6, 30.0, 10.0, 3.0,
)  # fmt: skip
"""95 % horizontal bound by NACp (RTCA DO-260B, table A-13: estimated position uncertainty)."""

CONTAINMENT_BY_TYPE_CODE_M: Final[Mapping[int, float]] = MappingProxyType(
    {
        5: 7.5, 6: 25.0, 7: 185.2,
        9: 7.5, 10: 25.0, 11: 185.2, 12: 370.4, 13: 1_111.2, 14: 1_852.0, 15: 3_704.0, 16: 14_816.0, 17: 37_040.0,
        20: 7.5, 21: 25.0,
    }
)  # fmt: skip
"""Containment radius by the type code of a Mode S position message (DO-260B, table A-2, no NIC supplements)."""

ASSUMED_BY_KIND_M: Final[Mapping[str, float]] = MappingProxyType({"mlat": 200.0, "tisb": 250.0, "adsc": 1_000.0})
"""Our assumption for positions that say nothing about their quality; the others stay unknown."""


def accuracy_m(nac_p: object, rc: object, kind: str | None) -> float | None:
    """95 % horizontal bound in metres: by NACp, else the containment radius `rc` in metres, else by the kind."""
    if type(nac_p) is int and 0 < nac_p < len(EPU_M):
        return EPU_M[nac_p]
    if (type(rc) is int or type(rc) is float) and rc > 0:
        return float(rc)
    return ASSUMED_BY_KIND_M.get(kind or "")
