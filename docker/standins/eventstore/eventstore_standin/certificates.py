"""The server's certificate and the roots that it must chain up to."""

import ssl
from pathlib import Path

from eventstore_standin.options import Options

_ROOT_SUFFIXES = (".pem", ".crt", ".cer", ".der")


class InvalidConfigurationError(Exception):
    """What EventStoreDB calls an invalid configuration; the text is for the user."""


def server_context(options: Options) -> ssl.SSLContext | None:
    """
    Return the TLS context, None in insecure mode.

    Raises InvalidConfigurationError.
    """
    if options.flag("Insecure"):
        if {"DefaultAdminPassword", "DefaultOpsPassword"} & options.given.keys():
            raise InvalidConfigurationError(
                "Default passwords cannot be set in insecure mode."
            )
        return None
    if options.flag("Dev"):
        raise InvalidConfigurationError(
            "This stand-in makes no development certificate: use --insecure."
        )
    certificate = options.given.get("CertificateFile")
    if not certificate:
        raise InvalidConfigurationError(
            "A certificate is required unless insecure mode (--insecure) is set."
        )
    roots = _roots(options)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(
            certificate, options.given.get("CertificatePrivateKeyFile")
        )
    except (OSError, ssl.SSLError) as error:
        raise InvalidConfigurationError(
            f"Could not load the certificate {certificate}: {error}"
        ) from error
    _verify(context, roots)
    return context


def _roots(options: Options) -> ssl.SSLContext:
    folder = options.given.get("TrustedRootCertificatesPath")
    if not folder:
        raise InvalidConfigurationError(
            "TrustedRootCertificatesPath must be specified unless insecure mode"
            " (--insecure) is set."
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    try:
        files = [p for p in Path(folder).iterdir() if p.suffix in _ROOT_SUFFIXES]
        for file in files:
            context.load_verify_locations(file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidConfigurationError(
            f"Could not load the trusted root certificates of {folder}: {error}"
        ) from error
    if not files:
        raise InvalidConfigurationError(
            f"No trusted root certificates found in {folder}."
        )
    return context


def _verify(server: ssl.SSLContext, roots: ssl.SSLContext) -> None:
    """Shake hands in memory: fails where the certificate has no path to a root."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = roots.wrap_bio(to_client, to_server)
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client_side, server_side):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                raise InvalidConfigurationError(
                    "Failed to build the certificate chain from the node's certificate"
                    f" up to a trusted root: {error}"
                ) from error
