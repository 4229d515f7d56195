"""An item of form 2.0 as a record of feed nvdv2: the form of the former JSON 1.1 feed. Pure.

The list of vulnerable names is left empty here: it depends on other records (see expansion).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from vulnfeeds.drivers.nvd import items
from vulnfeeds.records import nvd, severity

NO_TEXT: Final = "No description."
_NVD: Final = "nvd@nist.gov"
# Every reference that a CNA gave is there a second time under the CVE program's own container.
_CONTAINER: Final = "af854a3a-2127-422b-91ae-364da2661108"


def record(cve: items.CVE) -> nvd.NVDRecord:
    """Return the record of an item, without vulnerable names."""
    two, three, four = _cvss2(cve.metrics.v2), _cvss3([*cve.metrics.v31, *cve.metrics.v30]), _cvss4(cve.metrics.v40)
    return nvd.NVDRecord(
        cve=nvd.CVE(
            meta=nvd.Meta(id=cve.id, assigner=cve.source_identifier),
            description=nvd.Description(_english(cve.descriptions)),
            problemtype=nvd.ProblemType((nvd.ProblemTexts(_weaknesses(cve.weaknesses)),)),
        ),
        configurations=configurations(cve.configurations),
        cvss_v2=two,
        cvss_v3=three,
        cvss_v4=four,
        external_references=references(cve.references),
        published_date=_minutes(cve.published),
        last_modified_date=_minutes(cve.last_modified),
        severity=nvd.band(two, three, four),
        status=cve.vuln_status,
        vulnerable_cpes=(),
    )


def configurations(given: Iterable[items.Configuration]) -> nvd.Configurations:
    """Return configurations in form 1.1: OR nodes side by side, AND as a node with children; sorted, each once."""
    nodes: list[nvd.Node] = []
    for configuration in given:
        tests = _ordered(_node(node) for node in configuration.nodes)
        operator = (configuration.operator or "OR").upper()
        if (operator == "AND" and len(tests) > 1) or configuration.negate:
            tests = (nvd.Node(operator, (), tests, configuration.negate),)
        nodes.extend(tests)
    return nvd.Configurations(_ordered(nodes))


def references(given: Iterable[items.Reference]) -> tuple[nvd.Reference, ...]:
    """Return references by URL, each URL once with all its tags and the source that gave it first."""
    merged: dict[str, tuple[str, set[str]]] = {}
    for reference in given:
        source, tags = merged.get(reference.url, ("", set()))
        if reference.source and (not source or source == _CONTAINER):
            source = reference.source
        merged[reference.url] = (source, tags | set(reference.tags))
    return tuple(nvd.Reference(url, source, tuple(sorted(tags))) for url, (source, tags) in sorted(merged.items()))


def _node(node: items.Node) -> nvd.Node:
    matches = {
        nvd.CPEMatch(
            match.criteria,
            match.vulnerable,
            match.version_start_including,
            match.version_start_excluding,
            match.version_end_including,
            match.version_end_excluding,
        )
        for match in node.cpe_match
    }
    return nvd.Node(node.operator.upper(), tuple(sorted(matches, key=_key)), (), node.negate)


def _ordered(nodes: Iterable[nvd.Node]) -> tuple[nvd.Node, ...]:
    found = list(nodes)
    return tuple(found) if len(found) < 2 else tuple(sorted(dict.fromkeys(found), key=msgspec.json.encode))


def _key(match: nvd.CPEMatch) -> tuple[str, bool, str, str, str, str]:
    return (
        match.cpe,
        match.vulnerable,
        match.version_start_including or "",
        match.version_start_excluding or "",
        match.version_end_including or "",
        match.version_end_excluding or "",
    )


def _english(texts: list[items.Text]) -> tuple[nvd.Text, ...]:
    chosen = [text for text in texts if text.lang == "en"] or texts[:1]
    kept = tuple(nvd.Text(text.lang, text.value) for text in chosen if text.value)
    return kept or (nvd.Text("en", NO_TEXT),)


def _weaknesses(given: list[items.Weakness]) -> tuple[nvd.Text, ...]:
    values = {(text.lang, text.value) for weakness in given for text in weakness.description}
    return tuple(nvd.Text(lang, value) for lang, value in sorted(values))


def _minutes(moment: str) -> str:
    """Return `2010-12-16T05:00Z` of `2010-12-16T05:00:00.000`, and nothing of nothing (an override without dates)."""
    return f"{moment[:16]}Z" if moment else ""


def _best(metrics: list[items.Metric]) -> items.Metric | None:
    """Return the primary metric, the NVD's own before others; the list's order decides between equals."""
    return min(metrics, key=lambda metric: (metric.type != "Primary", metric.source != _NVD), default=None)


def _cvss2(metrics: list[items.Metric]) -> nvd.CVSS2 | None:
    metric = _best(metrics)
    if metric is None:
        return None
    data = metric.cvss_data
    word = severity.of_word(metric.base_severity)
    return nvd.CVSS2(
        base_metrics=nvd.CVSS2Metrics(
            base_score=data.base_score,
            access_complexity=data.access_complexity,
            access_vector=data.access_vector,
            authentication=data.authentication,
            availability_impact=data.availability_impact,
            confidentiality_impact=data.confidentiality_impact,
            exploitability_score=metric.exploitability_score,
            impact_score=metric.impact_score,
            integrity_impact=data.integrity_impact,
        ),
        severity=severity.of_cvss2(data.base_score) if word == "Unknown" else word,
        vector_string=data.vector_string,
        additional_information=nvd.CVSS2Facts(
            ac_insuf_info=metric.ac_insuf_info,
            obtain_all_privilege=metric.obtain_all_privilege,
            obtain_other_privilege=metric.obtain_other_privilege,
            obtain_user_privilege=metric.obtain_user_privilege,
            user_interaction_required=metric.user_interaction_required,
        ),
        version=data.version,
    )


def _cvss3(metrics: list[items.Metric]) -> nvd.CVSS3 | None:
    metric = _best(metrics)
    if metric is None:
        return None
    data = metric.cvss_data
    return nvd.CVSS3(
        base_metrics=nvd.CVSS3Metrics(
            base_score=data.base_score,
            base_severity=_word(data),
            attack_complexity=data.attack_complexity,
            attack_vector=data.attack_vector,
            availability_impact=data.availability_impact,
            confidentiality_impact=data.confidentiality_impact,
            exploitability_score=metric.exploitability_score,
            impact_score=metric.impact_score,
            integrity_impact=data.integrity_impact,
            privileges_required=data.privileges_required,
            scope=data.scope,
            user_interaction=data.user_interaction,
        ),
        vector_string=data.vector_string,
        version=data.version,
    )


def _cvss4(metrics: list[items.Metric]) -> nvd.CVSS4 | None:
    metric = _best(metrics)
    if metric is None:
        return None
    data = metric.cvss_data
    return nvd.CVSS4(nvd.CVSS4Metrics(data.base_score, _word(data)), data.vector_string, data.version)


def _word(data: items.CVSSData) -> str:
    """Return "None", "Low", ... as the NVD says, else by the score."""
    if severity.of_word(data.base_severity) != "Unknown":
        return data.base_severity.capitalize()
    found = severity.of_cvss3(data.base_score)
    return "None" if found == "Negligible" else found
