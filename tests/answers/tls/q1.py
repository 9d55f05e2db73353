# %% right: by hand
import ssl


def tls_argument(ca_file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    return context


# %% right: from text, with TLS 1.3 alone
import ssl
from pathlib import Path


async def tls_argument(path):
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=Path(path).read_text())
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


# %% right: everything said
import ssl


class Strict(ssl.SSLContext):
    pass


def tls_argument(ca_file, name="db"):
    context = Strict(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = True
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with open(ca_file) as file:
        context.load_verify_locations(cadata=file.read())
    context.set_alpn_protocols(["postgresql"])
    return context


# %% right: the course's own
from course_lib.tls import ssl_context_for


def tls_argument(ca_file):
    return ssl_context_for("verify-full", ca_file)


# %% wrong: verifies-nothing | this context does not verify
import ssl


def tls_argument(ca_file):
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# %% wrong: verifies-nothing | leave its `verify_mode` alone
import ssl


def tls_argument(ca_file):
    context = ssl._create_unverified_context()
    context.load_verify_locations(ca_file)
    return context


# %% wrong: skips-the-host-name | Leave `check_hostname` on
import ssl


def tls_argument(ca_file):
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = False
    return context


# %% wrong: system-authorities-only | Pass the file: `cafile=`
import ssl


def tls_argument(ca_file):
    return ssl.create_default_context()


# %% wrong: system-authorities-only | they don't know your server
def tls_argument(ca_file):
    return True


# %% wrong: trusts-public-authorities | beside the file
import ssl


def tls_argument(ca_file):
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    return context


# %% wrong: encrypts-and-does-not-verify | trusts everybody
def tls_argument(ca_file):
    return "require"


# %% wrong: falls-back-to-plain-text | talks in plain text
def tls_argument(ca_file):
    return "prefer"


# %% wrong: falls-back-to-plain-text | talks in plain text
def tls_argument(ca_file):
    return False


# %% wrong: word-without-the-file | Return a context that has loaded it
def tls_argument(ca_file):
    return "verify-full"


# %% wrong: changes-the-environment | would follow the last file
import os


def tls_argument(ca_file):
    os.environ["PGSSLROOTCERT"] = ca_file
    return "verify-full"


# %% wrong: changes-the-environment | Return a context that has loaded the file
import os
import ssl


def tls_argument(ca_file):
    os.environ["SSL_CERT_FILE"] = ca_file
    return ssl.create_default_context()


# %% wrong: loads-no-file | has not loaded `ca_file`
import ssl


def tls_argument(ca_file):
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


# %% wrong: context-for-a-server | asyncpg is a client
import ssl


def tls_argument(ca_file):
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca_file)


# %% wrong: accepts-expired | Leave the verification of dates on
import ssl


def tls_argument(ca_file):
    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags |= ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME
    return context


# %% wrong: shares-one-context | Make a new context in each call
import ssl

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def tls_argument(ca_file):
    context.load_verify_locations(ca_file)
    return context


# %% wrong: hides-a-missing-file | let the error out
import ssl


def tls_argument(ca_file):
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:
        return ssl.create_default_context()


# %% wrong: returns-a-dict | Return the value itself
import ssl


def tls_argument(ca_file):
    return {"ssl": ssl.create_default_context(cafile=ca_file)}


# %% wrong: returns-the-path | the name of a mode
def tls_argument(ca_file):
    return ca_file


# %% wrong: returns-nothing | it takes `prefer`
import ssl


def tls_argument(ca_file):
    ssl.create_default_context(cafile=ca_file)


# %% wrong: returns-no-ssl-argument | an object of type `bytes`
from pathlib import Path


def tls_argument(ca_file):
    return Path(ca_file).read_bytes()


# %% wrong: returns-an-unknown-word | asyncpg does not know this word
def tls_argument(ca_file):
    return "verify_full_please"


# %% wrong: takes-other-parameters | Keep the starter's parameters
import ssl


def tls_argument():
    return ssl.create_default_context()


# %% error: AttributeError
import ssl


def tls_argument(ca_file):
    return ssl.create_context(ca_file)


# %% right: a library function handed over
import functools
import ssl

make = functools.partial(ssl.create_default_context, ssl.Purpose.SERVER_AUTH)
tls_argument = lambda ca_file: make(cafile=ca_file)  # noqa: E731


# %% right: one context for each file, kept
import functools
import ssl


@functools.cache
def tls_argument(ca_file):
    return ssl.create_default_context(cafile=ca_file)


# %% right: in a thread, as a callable object, with a second variable set
import asyncio
import os
import ssl


class Maker:
    async def __call__(self, ca_file):
        os.environ["COURSE_EXAMPLE"] = "seen"
        return await asyncio.to_thread(ssl.create_default_context, cafile=ca_file)


tls_argument = Maker()


# %% right: the old protocol constant, all set by hand
import ssl
import warnings


def tls_argument(ca_file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS)
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.load_verify_locations(ca_file)
    context.load_verify_locations(ca_file)
    return context


# %% right: an error of its own, ciphers named
import ssl


def tls_argument(ca_file):
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context = ssl.SSLContext(context.protocol)
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        raise RuntimeError("no authority") from error
    return context


# %% right: the environment for a moment, and put back
import os
import ssl
from pathlib import Path
from unittest.mock import patch


def tls_argument(ca_file):
    Path(ca_file).read_bytes()
    with patch.dict(os.environ, SSL_CERT_FILE=ca_file, SSL_CERT_DIR="/nowhere"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_default_verify_paths()
        if "BEGIN CERT" not in Path(ca_file).read_text():
            raise ValueError("no certificate")
        return context


# %% wrong: trusts-public-authorities | beside the file
import ssl

import trustme

public = trustme.CA().cert_pem.bytes().decode()  # as a list that comes with a package


def tls_argument(ca_file):
    context = ssl.create_default_context(cafile=ca_file)
    context.load_verify_locations(cadata=public)
    return context


# %% wrong: trusts-public-authorities | beside the file
# the system's folder, of which OpenSSL reads a file when it needs one
import ssl


def tls_argument(ca_file):
    return ssl.create_default_context(cafile=ca_file, capath="/etc/ssl/certs")


# %% wrong: hides-a-broken-file | let the error out
import ssl


def tls_argument(ca_file):
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        return ssl.create_default_context()


# %% wrong: encrypts-and-does-not-verify | trusts everybody
from asyncpg.connect_utils import SSLMode


def tls_argument(ca_file):
    return SSLMode.require


# %% wrong: word-without-the-file | Return a context that has loaded it
from asyncpg.connect_utils import SSLMode


def tls_argument(ca_file):
    return SSLMode.verify_full


# %% wrong: verifies-nothing | does not verify
import ssl


class Patient(ssl.SSLContext):
    def wrap_bio(self, *arguments, **options):
        self.tries = getattr(self, "tries", 0) + 1
        if self.tries > 2:
            self.check_hostname = False
            self.verify_mode = ssl.CERT_NONE
        return super().wrap_bio(*arguments, **options)


def tls_argument(ca_file):
    context = Patient(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    return context


# %% wrong: refuses-the-good-server | The last line says why
import ssl


def tls_argument(ca_file):
    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context


# %% wrong: changes-the-environment | and change nothing else
import os
import ssl


def tls_argument(ca_file):
    os.environ["PGSSLROOTCERT"] = ca_file
    return ssl.create_default_context(cafile=ca_file)
