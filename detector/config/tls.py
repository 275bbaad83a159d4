"""From the TLS section to an `ssl.SSLContext`: the one place where certificates and keys are read."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from detector.errors import ConfigError

if TYPE_CHECKING:
    from detector.config.sections import Secret, Tls


def tls_context(tls: Tls, place: str) -> ssl.SSLContext:
    """Return a client's context; `place` is the section's YAML path, for messages.

    Raises ConfigError where a file cannot be read, or holds no usable certificate or key.
    """
    try:
        # OpenSSL's own errors name no file ("[X509: NO_CERTIFICATE_OR_CRL_FOUND]"), so each step gets its place.
        step = f"{place}.ca_file: {tls.ca_file}"
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.check_hostname = tls.check_hostname
        if tls.cert_file is not None:
            step = f"{place}.cert_file: {tls.cert_file} with key_file {tls.key_file or tls.cert_file}"
            password = reveal(tls.key_password, f"{place}.key_password") if tls.key_password else ""
            # A function, as without one OpenSSL asks for the password on the terminal.
            context.load_cert_chain(tls.cert_file, tls.key_file, password=lambda: password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        message = f"{step} cannot be used ({error}); expected PEM files that this user can read, and the right password"
        raise ConfigError(message) from error
    if tls.key_file is not None and tls.cert_file is None:
        message = f"{place}.key_file: {tls.key_file} was given without cert_file; give both or neither"
        raise ConfigError(message)
    return context


def reveal(secret: Secret, place: str) -> str:
    """Return the secret; ConfigError, with its YAML path, where its file cannot be read."""
    try:
        return secret.reveal()
    except (OSError, UnicodeDecodeError) as error:
        message = (
            f"{place}.file: {secret.file} cannot be read ({error}); expected a text file that holds the secret alone"
        )
        raise ConfigError(message) from error
