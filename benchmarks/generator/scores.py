"""CVSS metrics of an item, as the NVD writes them. Pure."""

from __future__ import annotations

import random
from typing import Any, Final

_NVD: Final = "nvd@nist.gov"


def _split(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_FOUR: Final = _split(
    "attackVector attackComplexity attackRequirements privilegesRequired userInteraction vulnConfidentialityImpact "
    "vulnIntegrityImpact vulnAvailabilityImpact subConfidentialityImpact subIntegrityImpact subAvailabilityImpact"
)
_UNDEFINED: Final = _split(
    "exploitMaturity confidentialityRequirement integrityRequirement availabilityRequirement modifiedAttackVector "
    "modifiedAttackComplexity modifiedAttackRequirements modifiedPrivilegesRequired modifiedUserInteraction "
    "modifiedVulnConfidentialityImpact modifiedVulnIntegrityImpact modifiedVulnAvailabilityImpact "
    "modifiedSubConfidentialityImpact modifiedSubIntegrityImpact modifiedSubAvailabilityImpact Safety Automatable "
    "Recovery valueDensity vulnerabilityResponseEffort providerUrgency"
)


def metrics(chances: random.Random, year: int, cna: str, *, revised: bool) -> dict[str, Any]:
    """Return `metrics`: CVSS 2 for old CVEs, 3.1 for newer ones, 4 for the newest; a revision moves the score."""
    score = round(1 + int(chances.random() * 90) / 10 - (0.5 if revised else 0), 1)
    found: dict[str, Any] = {}
    if year >= 2024 and chances.random() < 0.4:
        found["cvssMetricV40"] = [_four(score, cna)]
    if year >= 2016 and chances.random() < 0.9:
        found["cvssMetricV31"] = [_three(score, _NVD, "Primary")]
        if chances.random() < 0.4:
            found["cvssMetricV31"].insert(0, _three(max(0.1, round(score - 1, 1)), cna, "Secondary"))
    if year < 2022 or chances.random() < 0.15:
        found["cvssMetricV2"] = [_two(score)]
    return found


def _word(score: float) -> str:
    return "LOW" if score < 4 else "MEDIUM" if score < 7 else "HIGH" if score < 9 else "CRITICAL"


def _four(score: float, cna: str) -> dict[str, Any]:
    data: dict[str, Any] = {
        "version": "4.0",
        "vectorString": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:L/VI:L/VA:L/SC:N/SI:N/SA:N/E:P/CR:X/IR:X/AR:X/MAV:X/M"
        "AC:X/MAT:X/MPR:X/MUI:X/MVC:X/MVI:X/MVA:X/MSC:X/MSI:X/MSA:X/S:X/AU:X/R:X/V:X/RE:X/U:X",
        "baseScore": score,
        "baseSeverity": _word(score),
        **dict.fromkeys(_FOUR, "LOW"),
        **dict.fromkeys(_UNDEFINED, "NOT_DEFINED"),
    }
    return {"source": cna, "type": "Secondary", "cvssData": data}


def _three(score: float, source: str, kind: str) -> dict[str, Any]:
    data = {
        "version": "3.1",
        "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "baseScore": score,
        "baseSeverity": _word(score),
        "attackVector": "NETWORK",
        "attackComplexity": "LOW",
        "privilegesRequired": "NONE",
        "userInteraction": "NONE",
        "scope": "UNCHANGED",
        "confidentialityImpact": "HIGH",
        "integrityImpact": "HIGH",
        "availabilityImpact": "HIGH",
    }
    return {"source": source, "type": kind, "cvssData": data, "exploitabilityScore": 3.9, "impactScore": 5.9}


def _two(score: float) -> dict[str, Any]:
    data = {
        "version": "2.0",
        "vectorString": "AV:N/AC:L/Au:N/C:P/I:P/A:P",
        "baseScore": score,
        "accessVector": "NETWORK",
        "accessComplexity": "LOW",
        "authentication": "NONE",
        "confidentialityImpact": "PARTIAL",
        "integrityImpact": "PARTIAL",
        "availabilityImpact": "PARTIAL",
    }
    return {
        "source": _NVD,
        "type": "Primary",
        "cvssData": data,
        "baseSeverity": min(_word(score), "HIGH", key=("LOW", "MEDIUM", "HIGH", "CRITICAL").index),
        "exploitabilityScore": 10.0,
        "impactScore": 6.4,
        "acInsufInfo": False,
        "obtainAllPrivilege": False,
        "obtainUserPrivilege": False,
        "obtainOtherPrivilege": False,
        "userInteractionRequired": False,
    }
