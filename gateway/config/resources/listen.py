"""listenConfig of an HTTPServer: who may connect, and how (core-v1, section 4.4)."""

import ipaddress
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Final

from gateway.config.addresses import ADDR_WORDS, parse_addr
from gateway.config.decoding import (
    INT32,
    Boolean,
    Checked,
    Declared,
    Enumeration,
    Integer,
    Message,
    MessageOf,
    Refused,
    Sequence,
    Text,
)
from gateway.config.problems import quoted

_VERSION: Final = Integer(0, 65535, "771 is TLS 1.2, 772 is TLS 1.3")

_NO_SOCK_OPTION: Final = (
    "it sets options of AILERON's own sockets in the kernel; use keepAliveConfig for its probes, and the "
    "system's settings for the rest"
)


def parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The network that `text` names in CIDR notation, as `10.0.0.0/8`.  Raises ValueError."""
    address, slash, _ = text.partition("/")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f'{quoted(text)} is not a network; write it as in "10.0.0.0/8" or "::1/128"'
        ) from None
    if not slash:
        raise ValueError(
            f"the length is missing; for this one address write {quoted(f'{address}/{network.prefixlen}')}"
        )
    return network


class ClientAuthType(IntEnum):
    """What is asked of clients by way of certificates, by AILERON's names and numbers."""

    NoClientCert = 0
    RequestClientCert = 1
    RequireAnyClientCert = 2
    VerifyClientCertIfGiven = 3
    RequireAndVerifyClientCert = 4


class RenegotiationSupport(IntEnum):
    """What AILERON's TLS clients let servers renegotiate."""

    RenegotiateNever = 0
    RenegotiateOnceAsClient = 1
    RenegotiateFreelyAsClient = 2


class CurveID(IntEnum):
    """Elliptic curves, by AILERON's names and numbers."""

    CurveP256 = 0
    CurveP384 = 1
    CurveP521 = 2
    X25519 = 3


class TLSCipher(IntEnum):
    """Cipher suites, by AILERON's names and numbers."""

    TLS_RSA_WITH_RC4_128_SHA = 0
    TLS_RSA_WITH_3DES_EDE_CBC_SHA = 1
    TLS_RSA_WITH_AES_128_CBC_SHA = 2
    TLS_RSA_WITH_AES_256_CBC_SHA = 3
    TLS_RSA_WITH_AES_128_CBC_SHA256 = 4
    TLS_RSA_WITH_AES_128_GCM_SHA256 = 5
    TLS_RSA_WITH_AES_256_GCM_SHA384 = 6
    TLS_ECDHE_ECDSA_WITH_RC4_128_SHA = 7
    TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA = 8
    TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA = 9
    TLS_ECDHE_RSA_WITH_RC4_128_SHA = 10
    TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA = 11
    TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA = 12
    TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA = 13
    TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256 = 14
    TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256 = 15
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 = 16
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 17
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 = 18
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 = 19
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 20
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 21
    TLS_AES_128_GCM_SHA256 = 22
    TLS_AES_256_GCM_SHA384 = 23
    TLS_CHACHA20_POLY1305_SHA256 = 24
    TLS_FALLBACK_SCSV = 25
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305 = 26
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305 = 27


@dataclass(frozen=True, slots=True, kw_only=True)
class CertKeyPair(Message):
    """A certificate and its key, as PEM files; paths are relative to the working directory."""

    cert_file: Annotated[str, Declared("CertFile", Text())] = ""
    """The certificate, and those of the authorities between it and the root."""
    key_file: Annotated[str, Declared("KeyFile", Text())] = ""
    """The private key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSConfig(Message):
    """How TLS is spoken.  What concerns TLS clients alone means nothing for a listener."""

    cert_key_pairs: Annotated[
        tuple[CertKeyPair, ...], Declared("CertKeyPairs", Sequence(MessageOf(CertKeyPair)))
    ] = ()
    """What the server shows to clients.  None: every TLS handshake fails."""
    root_cas: Annotated[tuple[str, ...], Declared("RootCAs", Sequence(Text(), unique=True))] = ()
    """For TLS clients: files with authorities whose servers are trusted."""
    next_protos: Annotated[tuple[str, ...], Declared("NextProtos", Sequence(Text()))] = ()
    """The protocols that are offered by ALPN (RFC 7301), the best first."""
    server_name: Annotated[str, Declared("ServerName", Text())] = ""
    """For TLS clients: the name that a server's certificate has to bear."""
    client_auth: Annotated[
        ClientAuthType, Declared("ClientAuth", Enumeration(ClientAuthType, ClientAuthType.NoClientCert))
    ] = ClientAuthType.NoClientCert
    """What is asked of clients by way of certificates."""
    client_cas: Annotated[tuple[str, ...], Declared("ClientCAs", Sequence(Text(), unique=True))] = ()
    """Files with authorities whose clients are trusted, besides those of the system."""
    insecure_skip_verify: Annotated[bool, Declared("InsecureSkipVerify", Boolean())] = False
    """For TLS clients: whether any server is trusted."""
    tls_cipher: Annotated[
        tuple[TLSCipher, ...],
        Declared("TLSCiphers", Sequence(Enumeration(TLSCipher, None))),
    ] = ()
    """The cipher suites up to TLS 1.2.  None: the usual ones."""
    session_tickets_disabled: Annotated[bool, Declared("SessionTicketsDisabled", Boolean())] = False
    """Whether clients cannot resume a session."""
    min_version: Annotated[int, Declared("MinVersion", _VERSION)] = 0
    """The lowest version of TLS: 771 is 1.2, 772 is 1.3.  0: 1.2."""
    max_version: Annotated[int, Declared("MaxVersion", _VERSION)] = 0
    """The highest version of TLS, as for minVersion.  0: 1.3."""
    curve_preferences: Annotated[
        tuple[CurveID, ...], Declared("CurvePreferences", Sequence(Enumeration(CurveID, None), unique=True))
    ] = ()
    """The elliptic curves for key exchange.  None: the usual ones."""
    dynamic_record_sizing_disabled: Annotated[bool, Declared("DynamicRecordSizingDisabled", Boolean())] = (
        False
    )
    """Whether AILERON always uses the largest TLS records; here they always are."""
    renegotiation: Annotated[
        RenegotiationSupport,
        Declared("Renegotiation", Enumeration(RenegotiationSupport, RenegotiationSupport.RenegotiateNever)),
    ] = RenegotiationSupport.RenegotiateNever
    """For TLS clients: what servers may renegotiate."""
    root_cas_ignore_system_certs: Annotated[bool, Declared("RootCAsIgnoreSystemCerts", Boolean())] = False
    """For TLS clients: whether the system's authorities are not trusted."""
    client_cas_ignore_system_certs: Annotated[bool, Declared("ClientCAsIgnoreSystemCerts", Boolean())] = False
    """Whether clients of the system's authorities are not trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAliveConfig(Message):
    """Probes of the kernel that find out whether a silent client is still there."""

    disable: Annotated[bool, Declared("Disable", Boolean())] = False
    """Whether there are none."""
    idle: Annotated[int, Declared("Idle", Integer(*INT32))] = 0
    """Seconds of silence before the first.  0: 15."""
    interval: Annotated[int, Declared("Interval", Integer(*INT32))] = 0
    """Seconds between two.  0: 15."""
    count: Annotated[int, Declared("Count", Integer(*INT32))] = 0
    """How many may go unanswered.  0: 9."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenConfig(Message):
    """Who may connect, and how."""

    tls_config: Annotated[TLSConfig | None, Declared("TLSConfig", MessageOf(TLSConfig))] = None
    """Speak TLS.  None: cleartext."""
    addr: Annotated[str, Declared("Addr", Checked(parse_addr, ADDR_WORDS))] = ""
    """Where to listen, in place of the server's own addr.  Empty: there."""
    connection_limit: Annotated[int, Declared("ConnectionLimit", Integer(*INT32))] = 0
    """How many clients may be connected at a time; more have to wait.  0 or less: no limit."""
    networks: Annotated[
        tuple[str, ...],
        Declared(
            "Networks",
            Sequence(Checked(parse_network, 'write it as in "10.0.0.0/8" or "::1/128"'), unique=True),
        ),
    ] = ()
    """The networks from which clients may come, as 10.0.0.0/8.  None: all."""
    read_deadline: Annotated[int, Declared("ReadDeadline", Integer(*INT32))] = 0
    """Milliseconds; AILERON's HTTP server overrules it at once, so it means nothing."""
    write_deadline: Annotated[int, Declared("WriteDeadline", Integer(*INT32))] = 0
    """Milliseconds; AILERON's HTTP server overrules it at once, so it means nothing."""
    keep_alive_config: Annotated[
        KeepAliveConfig | None, Declared("KeepAliveConfig", MessageOf(KeepAliveConfig))
    ] = None
    """Probes that find out whether a silent client is still there.  None: the usual ones."""
    sock_option: Annotated[None, Declared("SockOption", Refused(_NO_SOCK_OPTION))] = None
    """Options that AILERON sets on its sockets."""
