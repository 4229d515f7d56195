"""The tables of a schema 6.1.9 database, worded as its clients' own migration words them.

A client that finds other words (no foreign keys, say) builds every table anew before its first scan. It adds the
indexes by itself, so an archive carries none; three of them are unique, and a row that breaks one makes the database
useless to every client: `check.py` builds them before anything is published.
"""

from __future__ import annotations

from typing import Final

MODEL: Final = 6
REVISION: Final = 1
ADDITION: Final = 9
SCHEMA: Final = f"v{MODEL}.{REVISION}.{ADDITION}"

_ID: Final = "`id` integer PRIMARY KEY AUTOINCREMENT"


def _table(name: str, *columns: str) -> str:
    return f"CREATE TABLE `{name}` ({','.join(columns)})"


def _key(table: str, field: str, column: str, target: str) -> str:
    return f"CONSTRAINT `fk_{table}_{field}` FOREIGN KEY (`{column}`) REFERENCES `{target}`(`id`)"


def _package_handles(name: str) -> str:
    return _table(
        name,
        _ID,
        "`vulnerability_id` integer NOT NULL",
        "`operating_system_id` integer",
        "`package_id` integer",
        "`blob_id` integer",
        _key(name, "operating_system", "operating_system_id", "operating_systems"),
        _key(name, "package", "package_id", "packages"),
        _key(name, "vulnerability", "vulnerability_id", "vulnerability_handles"),
    )


def _cpe_handles(name: str) -> str:
    return _table(
        name,
        _ID,
        "`vulnerability_id` integer NOT NULL",
        "`cpe_id` integer",
        "`blob_id` integer",
        _key(name, "cpe", "cpe_id", "cpes"),
        _key(name, "vulnerability", "vulnerability_id", "vulnerability_handles"),
    )


TABLES: Final = (
    _table("blobs", _ID, "`value` text NOT NULL"),
    _table(
        "db_metadata",
        "`build_timestamp` datetime NOT NULL",
        "`model` integer NOT NULL",
        "`revision` integer NOT NULL",
        "`addition` integer NOT NULL",
    ),
    _table(
        "providers",
        "`id` text",
        "`version` text",
        "`processor` text",
        "`date_captured` datetime",
        "`input_digest` text",
        "PRIMARY KEY (`id`)",
    ),
    _table(
        "vulnerability_handles",
        _ID,
        "`name` text NOT NULL",
        "`status` text NOT NULL",
        "`published_date` datetime",
        "`modified_date` datetime",
        "`withdrawn_date` datetime",
        "`provider_id` text NOT NULL",
        "`blob_id` integer",
        _key("vulnerability_handles", "provider", "provider_id", "providers"),
    ),
    _table("vulnerability_aliases", "`name` text", "`alias` text NOT NULL", "PRIMARY KEY (`name`,`alias`)"),
    _table(
        "operating_systems",
        _ID,
        "`name` text",
        "`release_id` text",
        "`major_version` text",
        "`minor_version` text",
        "`label_version` text",
        "`codename` text",
        "`channel` text",
        "`eol_date` datetime",
        "`eoas_date` datetime",
    ),
    _table("packages", _ID, "`ecosystem` text", "`name` text"),
    _table(
        "cpes",
        _ID,
        "`part` text NOT NULL",
        "`vendor` text",
        "`product` text NOT NULL",
        "`edition` text",
        "`language` text",
        "`software_edition` text",
        "`target_hardware` text",
        "`target_software` text",
        "`other` text",
    ),
    _package_handles("affected_package_handles"),
    _package_handles("unaffected_package_handles"),
    _cpe_handles("affected_cpe_handles"),
    _cpe_handles("unaffected_cpe_handles"),
    _table(
        "package_cpes",
        "`cpe_id` integer",
        "`package_id` integer",
        "PRIMARY KEY (`cpe_id`,`package_id`)",
        _key("package_cpes", "cpe", "cpe_id", "cpes"),
        _key("package_cpes", "package", "package_id", "packages"),
    ),
    _table(
        "operating_system_specifier_overrides",
        "`alias` text",
        "`version` text",
        "`version_pattern` text",
        "`codename` text",
        "`channel` text",
        "`replacement` text",
        "`replacement_major_version` text",
        "`replacement_minor_version` text",
        "`replacement_label_version` text",
        "`replacement_channel` text",
        "`rolling` numeric",
        "`applicable_client_db_schemas` text",
        "PRIMARY KEY (`alias`,`version`,`version_pattern`,`replacement`,`replacement_major_version`,"
        "`replacement_minor_version`,`replacement_label_version`,`replacement_channel`,`rolling`)",
    ),
    _table(
        "package_specifier_overrides",
        "`ecosystem` text",
        "`replacement_ecosystem` text",
        "PRIMARY KEY (`ecosystem`,`replacement_ecosystem`)",
    ),
    _table("architecture_aliases", "`alias` text", "`canonical` text NOT NULL", "PRIMARY KEY (`alias`)"),
    _table("known_exploited_vulnerability_handles", _ID, "`cve` text NOT NULL", "`blob_id` integer"),
    _table("epss_handles", _ID, "`cve` text NOT NULL", "`epss` real NOT NULL", "`percentile` real NOT NULL"),
    _table("epss_metadata", "`date` datetime NOT NULL"),
    _table("cwe_handles", _ID, "`cve` text NOT NULL", "`cwe` text NOT NULL", "`source` text", "`type` text"),
)
"""One statement for each table, referenced tables before those that refer to them."""


def _nocase(columns: str) -> str:
    return ",".join(f"`{column}` COLLATE NOCASE" for column in columns.split())


UNIQUE_INDEXES: Final = {
    "idx_package": f"`packages`({_nocase('ecosystem name')})",
    "idx_cpe": "`cpes`("
    + _nocase("part vendor product edition language software_edition target_hardware target_software other")
    + ")",
    "os_idx": "`operating_systems`(`name`,`release_id`,`major_version`,`minor_version`,`label_version`,`channel`)",
}
"""What the client makes unique, by index name."""

INDEXES: Final = {
    "idx_package_name": f"`packages`({_nocase('name')})",
    "idx_cpe_product": f"`cpes`({_nocase('product')})",
    "idx_cpe_vendor": f"`cpes`({_nocase('vendor')})",
    "idx_vuln_provider_id": f"`vulnerability_handles`({_nocase('name provider_id')})",
    "kev_cve_idx": f"`known_exploited_vulnerability_handles`({_nocase('cve')})",
    "epss_cve_idx": f"`epss_handles`({_nocase('cve')})",
    "cwes_cve_idx": f"`cwe_handles`({_nocase('cve')})",
    "os_alias_idx": f"`operating_system_specifier_overrides`({_nocase('alias')})",
    "pkg_ecosystem_idx": f"`package_specifier_overrides`({_nocase('ecosystem')})",
    "idx_affected_package_handles_package_id": "`affected_package_handles`(`package_id`)",
    "idx_unaffected_package_handles_package_id": "`unaffected_package_handles`(`package_id`)",
    "idx_affected_cpe_handles_cpe_id": "`affected_cpe_handles`(`cpe_id`)",
    "idx_unaffected_cpe_handles_cpe_id": "`unaffected_cpe_handles`(`cpe_id`)",
}
"""The client's plain indexes that lookups need; it makes fourteen more that only help its search commands."""
