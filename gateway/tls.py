"""TLSConfig → the TLS of a listener (core-v1, section 4.4).

Reads certificates and keys; touches no socket.  What the `ssl` module cannot do is refused by name, never
left out in silence.  Fields that speak to TLS clients (serverName, rootCAs, ...) mean nothing to a listener.
"""

import ssl
from pathlib import Path
from typing import Final

from gateway.config import Problem
from gateway.config.decoding import Message, lower_camel
from gateway.config.problems import quoted
from gateway.config.resources.listen import ClientAuthType, CurveID, TLSCipher, TLSConfig

_VERSIONS: Final = {771: ssl.TLSVersion.TLSv1_2, 772: ssl.TLSVersion.TLSv1_3}

_OLD: Final = {768: "SSL 3.0", 769: "TLS 1.0", 770: "TLS 1.1"}

_CLIENT_AUTH: Final = {
    ClientAuthType.NoClientCert: ssl.CERT_NONE,
    ClientAuthType.VerifyClientCertIfGiven: ssl.CERT_OPTIONAL,
    ClientAuthType.RequireAndVerifyClientCert: ssl.CERT_REQUIRED,
}

_INSTEAD: Final = {
    ClientAuthType.RequestClientCert: "VerifyClientCertIfGiven",
    ClientAuthType.RequireAnyClientCert: "RequireAndVerifyClientCert",
}

_CIPHERS: Final = {
    TLSCipher.TLS_RSA_WITH_AES_128_CBC_SHA: "AES128-SHA",
    TLSCipher.TLS_RSA_WITH_AES_256_CBC_SHA: "AES256-SHA",
    TLSCipher.TLS_RSA_WITH_AES_128_CBC_SHA256: "AES128-SHA256",
    TLSCipher.TLS_RSA_WITH_AES_128_GCM_SHA256: "AES128-GCM-SHA256",
    TLSCipher.TLS_RSA_WITH_AES_256_GCM_SHA384: "AES256-GCM-SHA384",
    TLSCipher.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: "ECDHE-ECDSA-AES128-SHA",
    TLSCipher.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: "ECDHE-ECDSA-AES256-SHA",
    TLSCipher.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: "ECDHE-RSA-AES128-SHA",
    TLSCipher.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: "ECDHE-RSA-AES256-SHA",
    TLSCipher.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: "ECDHE-ECDSA-AES128-SHA256",
    TLSCipher.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: "ECDHE-RSA-AES128-SHA256",
    TLSCipher.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
    TLSCipher.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
    TLSCipher.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
    TLSCipher.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
    TLSCipher.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-RSA-CHACHA20-POLY1305",
    TLSCipher.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
    TLSCipher.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: "ECDHE-RSA-CHACHA20-POLY1305",
    TLSCipher.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""What OpenSSL calls the suites up to TLS 1.2; it no longer has those that are missing."""

_ALWAYS: Final = frozenset(
    {
        TLSCipher.TLS_AES_128_GCM_SHA256,
        TLSCipher.TLS_AES_256_GCM_SHA384,
        TLSCipher.TLS_CHACHA20_POLY1305_SHA256,
        TLSCipher.TLS_FALLBACK_SCSV,
    }
)
"""The suites of TLS 1.3, which nobody chooses from, here as in Go; and a signal that is no suite at all."""

_CURVES: Final = {
    CurveID.CurveP256: "prime256v1",
    CurveID.CurveP384: "secp384r1",
    CurveID.CurveP521: "secp521r1",
    CurveID.X25519: "X25519",
}


class TLSConfigError(Exception):
    """A TLSConfig that cannot be honoured; to blame is the field `attribute` of `message`."""

    def __init__(self, message: Message, attribute: str, words: str) -> None:
        self.message = message
        self.attribute = attribute
        self.words = words
        super().__init__(words)

    @property
    def problem(self) -> Problem:
        """The same with the place in the file where the field stands."""
        where = self.message.where
        mark = where.of(self.attribute)
        field = f"{where.path}.{lower_camel(self.attribute)}"
        return Problem(
            file=where.file,
            line=mark.line,
            column=mark.column,
            field=field,
            message=self.words,
            rule="tls",
        )


def server_context(config: TLSConfig) -> ssl.SSLContext:
    """The TLS that a listener speaks.  Raises TLSConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _set_versions(context, config)
    _load_certificates(context, config)
    _ask_clients(context, config)
    _set_ciphers(context, config)
    _set_curves(context, config)
    # HTTP/1.1 is what is spoken here, so nothing else may be agreed on, though a file may offer it to others.
    protocols = [name for name in config.next_protos if name not in {"h2", "h3", "http/1.1"}]
    context.set_alpn_protocols([*protocols, "http/1.1"])
    if config.session_tickets_disabled:
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


def _set_versions(context: ssl.SSLContext, config: TLSConfig) -> None:
    context.minimum_version = _version(config, "min_version", config.min_version or 771)
    context.maximum_version = _version(config, "max_version", config.max_version or 772)
    if context.minimum_version > context.maximum_version:
        raise TLSConfigError(
            config, "min_version", "minVersion is higher than maxVersion, so no version is left to be spoken"
        )


def _version(config: TLSConfig, attribute: str, number: int) -> ssl.TLSVersion:
    version = _VERSIONS.get(number)
    if version is None:
        what = f"{_OLD[number]} is no longer safe" if number in _OLD else f"{number} is no version of TLS"
        raise TLSConfigError(config, attribute, f"{what}; write 771 for TLS 1.2 or 772 for TLS 1.3")
    return version


def _load_certificates(context: ssl.SSLContext, config: TLSConfig) -> None:
    for pair in config.cert_key_pairs:
        for attribute, file in (("cert_file", pair.cert_file), ("key_file", pair.key_file)):
            if not file:
                raise TLSConfigError(
                    pair,
                    attribute,
                    f"{lower_camel(attribute)} is missing; a certificate and its key go together",
                )
            _check_readable(pair, attribute, file)
        try:
            # An empty password: without it, OpenSSL would ask for one on the terminal.
            context.load_cert_chain(pair.cert_file, pair.key_file, password="")
        except (ssl.SSLError, ValueError) as error:
            cert, key = quoted(pair.cert_file), quoted(pair.key_file)
            if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
                words = f"the key in {key} is not the one of the certificate in {cert}"
            else:
                words = (
                    f"the certificate in {cert} and the key in {key} cannot be used ({_told(error)}); both "
                    "have to be PEM, the key without a password"
                )
            raise TLSConfigError(pair, "cert_file", words) from error


def _ask_clients(context: ssl.SSLContext, config: TLSConfig) -> None:
    if config.client_auth in _INSTEAD:
        raise TLSConfigError(
            config,
            "client_auth",
            f"{quoted(config.client_auth.name)} is not supported by this gateway: Python verifies each "
            f"certificate that it asks for; use {quoted(_INSTEAD[config.client_auth])}",
        )
    context.verify_mode = _CLIENT_AUTH[config.client_auth]
    for file in config.client_cas:
        _check_readable(config, "client_cas", file)
        try:
            context.load_verify_locations(file)
        except ssl.SSLError as error:
            raise TLSConfigError(
                config, "client_cas", f"{quoted(file)} holds no certificate in PEM form ({_told(error)})"
            ) from error
    if context.verify_mode is not ssl.CERT_NONE and not config.client_cas_ignore_system_certs:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)


def _set_ciphers(context: ssl.SSLContext, config: TLSConfig) -> None:
    for cipher in config.tls_cipher:
        if cipher not in _CIPHERS and cipher not in _ALWAYS:
            raise TLSConfigError(
                config, "tls_cipher", f"{quoted(cipher.name)} is not supported: OpenSSL no longer has it"
            )
    names = [_CIPHERS[cipher] for cipher in config.tls_cipher if cipher in _CIPHERS]
    if names:
        try:
            context.set_ciphers(":".join(names))
        except ssl.SSLError as error:
            raise TLSConfigError(
                config, "tls_cipher", f"OpenSSL takes none of these cipher suites ({_told(error)})"
            ) from error


def _set_curves(context: ssl.SSLContext, config: TLSConfig) -> None:
    if len(config.curve_preferences) > 1:
        raise TLSConfigError(
            config,
            "curve_preferences",
            "more than one curve is not supported by this gateway: Python sets one or leaves the choice to "
            "OpenSSL; name one, or leave curvePreferences out",
        )
    for curve in config.curve_preferences:
        try:
            context.set_ecdh_curve(_CURVES[curve])
        except (ssl.SSLError, ValueError) as error:
            raise TLSConfigError(
                config, "curve_preferences", f"OpenSSL does not know {quoted(curve.name)} ({_told(error)})"
            ) from error


def _check_readable(message: Message, attribute: str, file: str) -> None:
    try:
        with Path(file).open("rb"):
            pass
    except OSError as error:
        words = f"{quoted(file)} cannot be read: {error.strerror}"
        if not Path(file).is_absolute():
            words += f" (the path counts from the working directory, {Path.cwd()})"
        raise TLSConfigError(message, attribute, words) from error
    except ValueError as error:
        raise TLSConfigError(message, attribute, f"{quoted(file)} is no path") from error


def _told(error: ssl.SSLError | ValueError) -> str:
    """What OpenSSL has to say, in its own words."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return str(error) or type(error).__name__
