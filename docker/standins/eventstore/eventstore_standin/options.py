"""EventStoreDB's options: `EVENTSTORE_*` variables, `--name`, and the YAML file.

As in EventStoreDB an option that does not exist is fatal unless
AllowUnknownOptions is set.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "EVENTSTORE_"
_PACKAGED_FILE = "/etc/eventstore/eventstore.conf"
_KNOWN = """
AdvertiseHostToClientAs AdvertiseHttpPortToClientAs AdvertiseNodePortToClientAs
AdvertiseNodeTcpPortToClientAs AdvertiseTcpPortToClientAs AllowAnonymousEndpointAccess
AllowAnonymousStreamAccess AllowUnknownOptions AlwaysKeepScavenged
AuthenticationConfig AuthenticationType AuthorizationConfig AuthorizationType
CachedChunks CertificateFile CertificatePassword CertificatePrivateKeyFile
CertificatePrivateKeyPassword CertificateReservedNodeCommonName
CertificateStoreLocation CertificateStoreName CertificateSubjectName
CertificateThumbprint ChunkInitialReaderCount ChunksCacheSize ClusterDns
ClusterGossipPort ClusterSize CommitCount CommitTimeoutMs Config
ConnectionPendingSendBytesThreshold ConnectionQueueSizeThreshold Db DbLogFormat
DeadMemberRemovalPeriodSec DefaultAdminPassword DefaultOpsPassword Dev
DisableAdminUi DisableExternalTcpTls DisableFirstLevelHttpAuthorization
DisableGossipOnHttp DisableHttpCaching DisableInternalTcpTls DisableLogFile
DisableScavengeMerging DisableStatsOnHttp DiscoverViaDns EnableAtomPubOverHttp
EnableExternalTcp EnableHistograms EnableTrustedAuth ExtHostAdvertiseAs ExtIp
ExtTcpHeartbeatInterval ExtTcpHeartbeatTimeout ExtTcpPort ExtTcpPortAdvertiseAs
FaultOutOfOrderProjections GossipAllowedDifferenceMs GossipIntervalMs
GossipOnSingleNode GossipSeed GossipTimeoutMs HashCollisionReadLimit Help HttpPort
HttpPortAdvertiseAs Index IndexCacheDepth IndexCacheSize InitializationThreads
Insecure IntHostAdvertiseAs IntIp IntTcpHeartbeatInterval IntTcpHeartbeatTimeout
IntTcpPort IntTcpPortAdvertiseAs KeepAliveInterval KeepAliveTimeout
LeaderElectionTimeoutMs Log LogConfig LogConsoleFormat LogFailedAuthenticationAttempts
LogFileInterval LogFileRetentionCount LogFileSize LogHttpRequests LogLevel
MaxAppendSize MaxAutoMergeIndexLevel MaxMemTableSize MaxTruncation MemDb
MinFlushDelayMs NodeHeartbeatInterval NodeHeartbeatTimeout NodeHostAdvertiseAs NodeIp
NodePort NodePortAdvertiseAs NodePriority NodeTcpPort NodeTcpPortAdvertiseAs
OptimizeIndexMerge OverrideAnonymousEndpointAccessForGossip PrepareAckTimeoutMs
PrepareCount PrepareTimeoutMs ProjectionCompilationTimeout
ProjectionExecutionTimeout ProjectionThreads ProjectionsQueryExpiry QuorumSize
ReadOnlyReplica ReaderThreadsCount ReduceFileCachePressure ReplicationHeartbeatInterval
ReplicationHeartbeatTimeout ReplicationHostAdvertiseAs ReplicationIp ReplicationPort
ReplicationTcpPortAdvertiseAs RunProjections ScavengeBackendCacheSize
ScavengeBackendPageSize ScavengeHashUsersCacheCapacity ScavengeHistoryMaxAge
SkipDbVerify SkipIndexScanOnReads SkipIndexVerify StartStandardProjections
StatsPeriodSec StatsStorage StreamExistenceFilterSize StreamInfoCacheCapacity
TrustedRootCertificatesPath Unbuffered UnixSocket UnsafeAllowSurplusNodes
UnsafeDisableFlushToDisk UnsafeIgnoreHardDelete UseIndexBloomFilters Version WhatIf
WorkerThreads WriteStatsToDb WriteThrough WriteTimeoutMs
""".split()
_NAMES = {name.lower(): name for name in _KNOWN}
_TRUE = {"true": True, "1": True, "false": False, "0": False}


class OptionError(Exception):
    """An option that EventStoreDB would refuse; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Options:
    """The given options by their name, `HttpPort` for EVENTSTORE_HTTP_PORT."""

    given: Mapping[str, str]

    def flag(self, name: str) -> bool:
        """A yes-or-no option, false where it is not given. Raises OptionError."""
        text = self.given.get(name, "false")
        if text.lower() not in _TRUE:
            message = f"Failed to convert configuration value '{text}' of {name} to Boolean."
            raise OptionError(message)
        return _TRUE[text.lower()]

    def number(self, *names: str, default: int) -> int:
        """The first of *names* that is given. Raises OptionError."""
        for name in names:
            if (text := self.given.get(name)) is not None:
                if not text.isdecimal():
                    message = f"Failed to convert configuration value '{text}' of {name} to Int32."
                    raise OptionError(message)
                return int(text)
        return default

    def path(self, name: str, default: str) -> Path:
        """An option that names a file or folder."""
        return Path(self.given.get(name) or default)


def read_options(arguments: list[str], environment: Mapping[str, str]) -> Options:
    """Collect the options: the file, then variables, then the command line.

    Raises OptionError.
    """
    outer = dict(_of_environment(environment))
    outer |= dict(_of_arguments(iter(arguments)))
    named = {_known(name): value for name, value in outer.items()}
    path = Path(named.get("Config", _PACKAGED_FILE))
    given = {_known(name): value for name, value in _of_file(path)} | named
    _refuse_unknown(Options(given))
    return Options(given)


def _of_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in environment.items():
        if name.startswith(_PREFIX):
            words = name.removeprefix(_PREFIX).split("_")
            yield "".join(word.capitalize() for word in words), value


def _of_arguments(arguments: Iterator[str]) -> Iterator[tuple[str, str]]:
    waiting = None
    for argument in arguments:
        if argument.startswith("-"):
            if waiting:
                yield waiting, "true"
            name, sign, value = argument.lstrip("-").partition("=")
            name = "".join(word.capitalize() for word in re.split("[-_]", name))
            waiting = None if sign else name
            if sign:
                yield name, value
        elif waiting:
            yield waiting, argument
            waiting = None
    if waiting:
        yield waiting, "true"


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    """The lines `Name: value` of the YAML file; all that this file needs."""
    for line in path.read_text().splitlines() if path.is_file() else []:
        name, sign, value = line.partition("#")[0].partition(":")
        if sign and value.strip():
            yield name.strip(), value.strip().strip("\"'")


def _known(name: str) -> str:
    return _NAMES.get(name.lower(), name)


def _refuse_unknown(options: Options) -> None:
    unknown = [name for name in options.given if name.lower() not in _NAMES]
    if unknown and not options.flag("AllowUnknownOptions"):
        message = (
            f"Error while parsing options: The option {unknown[0]} is not a known"
            f" option. (Parameter '{unknown[0]}')"
        )
        raise OptionError(message)
