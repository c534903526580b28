"""TLSConfig → the TLS of a listener: what is loaded, what is refused, and in which words."""

import ssl
from pathlib import Path

import pytest
import trustme

from gateway.config.decoding import Where
from gateway.config.problems import Mark
from gateway.config.resources.listen import CertKeyPair, ClientAuthType, CurveID, TLSCipher, TLSConfig
from gateway.tls import TLSConfigError, server_context


def pair_in(folder: Path, authority: trustme.CA, name: str = "localhost") -> CertKeyPair:
    """A certificate and its key, written to `folder`."""
    issued = authority.issue_cert(name)
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return CertKeyPair(cert_file=str(cert), key_file=str(key))


def refused(config: TLSConfig) -> TLSConfigError:
    """Why `config` is refused."""
    with pytest.raises(TLSConfigError) as caught:
        server_context(config)
    return caught.value


def test_the_defaults() -> None:
    """TLS 1.2 and 1.3, nobody is asked for a certificate, and no certificate is fine to begin with."""
    context = server_context(TLSConfig())
    assert (context.minimum_version, context.maximum_version) == (
        ssl.TLSVersion.TLSv1_2,
        ssl.TLSVersion.TLSv1_3,
    )
    assert context.verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize(
    ("low", "high", "versions"),
    [(771, 771, ("TLSv1_2", "TLSv1_2")), (772, 0, ("TLSv1_3", "TLSv1_3")), (0, 772, ("TLSv1_2", "TLSv1_3"))],
)
def test_versions(low: int, high: int, versions: tuple[str, str]) -> None:
    """By their numbers on the wire."""
    context = server_context(TLSConfig(min_version=low, max_version=high))
    assert (context.minimum_version.name, context.maximum_version.name) == versions


@pytest.mark.parametrize(
    ("config", "attribute", "words"),
    [
        (TLSConfig(min_version=770), "min_version", "TLS 1.1 is no longer safe; write 771 for TLS 1.2"),
        (TLSConfig(max_version=12), "max_version", "12 is no version of TLS; write 771"),
        (TLSConfig(min_version=772, max_version=771), "min_version", "minVersion is higher than maxVersion"),
        (
            TLSConfig(client_auth=ClientAuthType.RequestClientCert),
            "client_auth",
            'Python verifies each certificate that it asks for; use "VerifyClientCertIfGiven"',
        ),
        (
            TLSConfig(client_auth=ClientAuthType.RequireAnyClientCert),
            "client_auth",
            'use "RequireAndVerifyClientCert"',
        ),
        (
            TLSConfig(tls_cipher=(TLSCipher.TLS_RSA_WITH_RC4_128_SHA,)),
            "tls_cipher",
            '"TLS_RSA_WITH_RC4_128_SHA" is not supported: OpenSSL no longer has it',
        ),
        (
            TLSConfig(curve_preferences=(CurveID.X25519, CurveID.CurveP256)),
            "curve_preferences",
            "name one, or leave curvePreferences out",
        ),
        (TLSConfig(cert_key_pairs=(CertKeyPair(cert_file=__file__),)), "key_file", "keyFile is missing"),
        (TLSConfig(cert_key_pairs=(CertKeyPair(key_file="x"),)), "cert_file", "certFile is missing"),
        (TLSConfig(client_cas=("/no/ca.pem",)), "client_cas", '"/no/ca.pem" cannot be read: No such file'),
    ],
)
def test_what_cannot_be_honoured_is_refused(config: TLSConfig, attribute: str, words: str) -> None:
    """Each by its field, with the reason and what would be right."""
    error = refused(config)
    assert error.attribute == attribute
    assert words in error.words


def test_every_cipher_is_known_or_refused() -> None:
    """Those that are not refused are those that OpenSSL then offers."""
    for cipher in TLSCipher:
        try:
            context = server_context(TLSConfig(tls_cipher=(cipher,)))
        except TLSConfigError as error:
            assert cipher.name in error.words  # noqa: PT017 - either is right, and both are looked at
            assert "RC4" in cipher.name or "3DES" in cipher.name
        else:
            assert context.get_ciphers()


@pytest.mark.parametrize("curve", list(CurveID))
def test_one_curve(curve: CurveID) -> None:
    """Each alone is taken."""
    server_context(TLSConfig(curve_preferences=(curve,)))


def test_certificates_that_do_not_fit(tmp_path: Path) -> None:
    """A key of another certificate, a file that is no PEM and one that is missing are told apart."""
    authority = trustme.CA()
    one, two = pair_in(tmp_path, authority, "one.example"), pair_in(tmp_path, authority, "two.example")
    error = refused(TLSConfig(cert_key_pairs=(CertKeyPair(cert_file=one.cert_file, key_file=two.key_file),)))
    assert error.words == (
        f'the key in "{two.key_file}" is not the one of the certificate in "{one.cert_file}"'
    ).replace(two.key_file, _cut(two.key_file)).replace(one.cert_file, _cut(one.cert_file))
    garbage = tmp_path / "garbage"
    garbage.write_text("no PEM")
    error = refused(TLSConfig(cert_key_pairs=(CertKeyPair(cert_file=str(garbage), key_file=one.key_file),)))
    assert "both have to be PEM, the key without a password" in error.words
    assert "holds no certificate" in refused(TLSConfig(client_cas=(str(garbage),))).words
    error = refused(TLSConfig(cert_key_pairs=(CertKeyPair(cert_file="no.pem", key_file="no.key"),)))
    assert f"No such file or directory (the path counts from the working directory, {Path.cwd()})" in (
        error.words
    )


def test_a_problem_has_its_place() -> None:
    """The mark of the field that is to blame, else that of the whole tlsConfig."""
    where = Where(
        file="c.yaml",
        path="spec.httpConfig.listenConfig.tlsConfig",
        mark=Mark(line=3, column=5),
        values={"min_version": Mark(line=7, column=21)},
    )
    problem = refused(TLSConfig(min_version=1, where=where)).problem
    assert str(problem).startswith(
        "c.yaml:7:21: spec.httpConfig.listenConfig.tlsConfig.minVersion: 1 is no version of TLS"
    )
    problem = refused(TLSConfig(client_cas=("/no",), where=where)).problem
    assert (problem.line, problem.field) == (3, "spec.httpConfig.listenConfig.tlsConfig.clientCAs")


def _cut(path: str) -> str:
    """A path as messages quote it."""
    return path if len(path) <= 60 else path[:59] + "…"
