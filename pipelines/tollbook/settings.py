"""Settings: flags, then environment, then defaults. The only module that reads the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tollbook.connection.security import PLAIN_CONNECTION, PREFIX, HiddenText, KafkaSecurity, Secret
from tollbook.errors import MisuseError

HOME_VARIABLE = "TOLLBOOK_HOME"
BOOTSTRAP_VARIABLE = "TOLLBOOK_BOOTSTRAP_SERVERS"
LAKE_VARIABLE = "TOLLBOOK_LAKE"
LOG_FORMAT_VARIABLE = "TOLLBOOK_LOG_FORMAT"
LOG_FORMATS = ("text", "json")
DEFAULT_HOME = "tollbook-data"
MAX_COMMIT_RECORDS = 524_288
_PORTS = 65_536
_SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """Where one organisation's book lives and which Kafka feeds it.

    Attributes:
        home: Folder that holds everything written at run time, absolute.
        bootstrap_servers: Kafka servers as `host:port,...`; None means the embedded broker of `home`.
        kafka_security: How to connect to those servers. The embedded broker is on loopback and reached plainly.
        lake_url: Object store that holds the lake, of which `lake` is then the working copy; None means the one that
            the home was bound to, or the folder itself.
    """

    home: Path
    bootstrap_servers: str | None = None
    kafka_security: KafkaSecurity = PLAIN_CONNECTION
    lake_url: str | None = None

    def __post_init__(self) -> None:
        if self.home.exists() and not self.home.is_dir():
            raise MisuseError(f"expected {HOME_VARIABLE} to be a folder, got the file {self.home}")
        blocking = next((parent for parent in self.home.parents if parent.is_file()), None)
        if blocking is not None:
            raise MisuseError(f"expected {HOME_VARIABLE} to be a folder, got {self.home} below the file {blocking}")
        if not self.home.is_absolute():
            raise MisuseError(f"expected an absolute home, got {self.home}")
        for server in self.bootstrap_servers.split(",") if self.bootstrap_servers is not None else ():
            host, _, port = server.strip().rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < _PORTS:
                raise MisuseError(f"expected Kafka servers as host:port,..., got {self.bootstrap_servers!r}")

    @classmethod
    def load(cls, *, home: Path | None = None, bootstrap_servers: str | None = None) -> Settings:
        """Return the settings of this process; those of Kafka's security have no flags, as flags show in process lists.

        Args:
            home: Value of `--home`; else `TOLLBOOK_HOME`, else `./tollbook-data`.
            bootstrap_servers: Value of `--bootstrap-servers`; else `TOLLBOOK_BOOTSTRAP_SERVERS`, else
                the embedded broker.

        Raises:
            MisuseError: A setting is not what it should be, or settings do not fit together.
        """
        chosen = home or Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME)
        servers = bootstrap_servers or os.environ.get(BOOTSTRAP_VARIABLE) or None
        return cls(
            home=chosen.expanduser().absolute(),
            bootstrap_servers=servers,
            kafka_security=kafka_security_told(),
            lake_url=os.environ.get(LAKE_VARIABLE) or None,
        )

    @property
    def lake(self) -> Path:
        """Folder of the Parquet lake, or of the working copy of one in an object store."""
        return self.home / "lake"

    @property
    def warehouse(self) -> Path:
        """Folder of the private warehouse file, dbt's target and its logs."""
        return self.home / "warehouse"

    @property
    def serve(self) -> Path:
        """Folder of the published files; `tollbook.duckdb` in it is what readers open."""
        return self.home / "serve"

    @property
    def exports(self) -> Path:
        """Folder of exported statements and pages."""
        return self.home / "exports"

    @property
    def metrics(self) -> Path:
        """Folder of the metrics that commands leave behind when they end, for a textfile collector."""
        return self.home / "metrics"

    @property
    def reference(self) -> Path:
        """Folder of the reference files: dated facts about the organisation. Every one of them may be absent."""
        return self.home / "reference"

    @property
    def owners(self) -> Path:
        """The owner rules in use."""
        return self.reference / "owners.yml"

    @property
    def price_overlays(self) -> Path:
        """Folder of the price overlays in use."""
        return self.reference / "prices"

    @property
    def contracts(self) -> Path:
        """Folder of the contracts in use."""
        return self.reference / "contracts"

    @property
    def exchange_rates(self) -> Path:
        """The exchange rates in use."""
        return self.reference / "exchange_rates.yml"

    @property
    def dimensions(self) -> Path:
        """The rules by which tools' own words become dimensions."""
        return self.reference / "dimensions.yml"

    @property
    def billing_calendar(self) -> Path:
        """The billing calendar in use: by which time zone's months the organisation bills."""
        return self.reference / "billing_calendar.yml"

    @property
    def cost_policy(self) -> Path:
        """The cost policy in use: whose figure is charged."""
        return self.reference / "cost_policy.yml"

    @property
    def closing_policy(self) -> Path:
        """Who may close billing periods, and what a close tolerates. It may be absent."""
        return self.reference / "closing_policy.yml"

    @property
    def broker(self) -> Path:
        """Folder of the embedded Kafka broker: its jars, logs and data."""
        return self.home / "broker"

    @property
    def flink(self) -> Path:
        """Folder of the Flink cluster of this machine: its jars, logs, checkpoints and savepoints."""
        return self.home / "flink"


def chosen_log_format(told: str | None) -> str:
    """Return the format of what a command tells on stderr, `text` or `json`.

    Args:
        told: Value of `--log-format`; else `TOLLBOOK_LOG_FORMAT`, else `text`.

    Raises:
        MisuseError: It is neither.
    """
    chosen = told or os.environ.get(LOG_FORMAT_VARIABLE) or LOG_FORMATS[0]
    if chosen not in LOG_FORMATS:
        where = "--log-format" if told else LOG_FORMAT_VARIABLE
        raise MisuseError(f"expected {where} to be one of {', '.join(LOG_FORMATS)}, got {chosen!r}")
    return chosen


def kafka_security_told() -> KafkaSecurity:
    """Return how to connect to Kafka, as the environment says.

    Raises:
        MisuseError: A variable is not what it should be, or variables do not fit together.
    """
    check = os.environ.get(f"{PREFIX}SSL_CHECK_HOSTNAME") or "true"
    if check.lower() not in _SWITCHES:
        raise MisuseError(f"expected {PREFIX}SSL_CHECK_HOSTNAME to be true or false, got {check!r}")
    return KafkaSecurity(
        protocol=(os.environ.get(f"{PREFIX}SECURITY_PROTOCOL") or "PLAINTEXT").upper(),
        sasl_mechanism=(os.environ.get(f"{PREFIX}SASL_MECHANISM") or "").upper() or None,
        sasl_username=os.environ.get(f"{PREFIX}SASL_USERNAME") or None,
        sasl_password=_secret(f"{PREFIX}SASL_PASSWORD"),
        ssl_cafile=_file(f"{PREFIX}SSL_CAFILE"),
        ssl_certfile=_file(f"{PREFIX}SSL_CERTFILE"),
        ssl_keyfile=_file(f"{PREFIX}SSL_KEYFILE"),
        ssl_key_password=_secret(f"{PREFIX}SSL_KEY_PASSWORD"),
        ssl_check_hostname=_SWITCHES[check.lower()],
    )


def _file(variable: str) -> Path | None:
    told = os.environ.get(variable)
    return Path(told).expanduser().absolute() if told else None


def _secret(variable: str) -> Secret | None:
    """Return what the variable holds, or the file that the variable with `_FILE` behind its name names."""
    text, file = os.environ.get(variable), _file(f"{variable}_FILE")
    if text and file is not None:
        raise MisuseError(f"expected {variable} or {variable}_FILE, got both")
    if file is not None:
        return Secret(f"{variable}_FILE", file=file)
    return Secret(variable, HiddenText(text)) if text else None
