# %% right: wraps the handler's format method
import logging
import re


def protect_handler(handler, secrets):
    inner = handler.format
    words = [re.escape(each) for each in sorted(secrets, key=len, reverse=True)]

    def format(record):
        text = inner(record)
        if words:
            text = re.sub("|".join(words), "***", text)
        return re.sub(r"([a-zA-Z][a-zA-Z0-9+.\-]*://[^\s:/@]+:)[^\s@]+@", r"\1***@", text)

    handler.format = format


# %% right: the course's own, after its name for secrets
from course_lib.masking import protect


async def protect_handler(handler, secrets):
    protect(handler, *secrets)


# %% right: a stream that masks what is written
import re


def protect_handler(handler, secrets):
    class Masking:
        def __init__(self, stream):
            self.stream = stream

        def write(self, text):
            for secret in sorted(secrets, key=len)[::-1]:
                text = text.replace(secret, "[hidden]")
            self.stream.write(re.sub(r"://([^:/@\s]*):[^@\s]*@", r"://\1:[hidden]@", text))

        def __getattr__(self, name):
            return getattr(self.stream, name)

    handler.stream = Masking(handler.stream)


# %% right: another class of handler, with a copy of the record
import copy
import logging
import re


def protect_handler(handler, secrets):
    emit, plain = handler.emit, logging.Formatter()

    def mask(text):
        for secret in sorted(secrets, key=lambda each: -len(each)):
            text = text.replace(secret, "***")
        return re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s@]*@", r"\1***@", text)

    def masked_emit(record):
        twin = copy.copy(record)
        twin.msg, twin.args = mask(record.getMessage()), None
        if record.exc_info:
            twin.exc_text, twin.exc_info = mask(plain.formatException(record.exc_info)), None
        emit(twin)

    handler.emit = masked_emit


# %% wrong: mutates-the-record | All handlers get the same record
import logging
import re


def protect_handler(handler, secrets):
    def mask(text):
        for secret in sorted(secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s@]*@", r"\1***@", text)

    class Filter(logging.Filter):
        def filter(self, record):
            record.msg, record.args = mask(record.getMessage()), ()
            if record.exc_info:
                record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
            return True

    handler.addFilter(Filter())


# %% wrong: misses-tracebacks | The traceback was written as it is
import logging
import re


def protect_handler(handler, secrets):
    class Filter(logging.Filter):
        def filter(self, record):
            text = record.getMessage()
            for secret in sorted(secrets, key=len, reverse=True):
                text = text.replace(secret, "***")
            record.msg = re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s@]*@", r"\1***@", text)
            record.args = ()
            return True

    handler.addFilter(Filter())


# %% wrong: misses-arguments | The arguments of a log call are filled in later
import logging
import re


def protect_handler(handler, secrets):
    class Filter(logging.Filter):
        def filter(self, record):
            text = str(record.msg)
            for secret in sorted(secrets, key=len, reverse=True):
                text = text.replace(secret, "***")
            record.msg = re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s@]*@", r"\1***@", text)
            return True

    handler.addFilter(Filter())


# %% wrong: only-postgresql | take any scheme
import logging
import re


def protect_handler(handler, secrets):
    inner = handler.formatter or logging.Formatter()

    class Masked(logging.Formatter):
        def format(self, record):
            text = inner.format(record)
            for secret in sorted(secrets, key=len, reverse=True):
                text = text.replace(secret, "***")
            return re.sub(r"(postgresql://[^\s:/@]*:)[^\s@]*@", r"\1***@", text)

    handler.setFormatter(Masked())


# %% wrong: only-postgresql | Brokers, caches and other databases
# Schemes of letters only.
import logging
import re


def protect_handler(handler, secrets):
    inner = handler.formatter or logging.Formatter()

    class Masked(logging.Formatter):
        def format(self, record):
            text = inner.format(record)
            for secret in sorted(secrets, key=len, reverse=True):
                text = text.replace(secret, "***")
            return re.sub(r"((?:postgresql|redis|amqps|https)://[^\s:/@]*:)[^\s@]*@", r"\1***@", text)

    handler.setFormatter(Masked())


# %% wrong: misses-known-secrets | One of the `secrets` stands in the line
import logging
import re


def protect_handler(handler, secrets):
    inner = handler.formatter or logging.Formatter()

    class Masked(logging.Formatter):
        def format(self, record):
            return re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s@]*@", r"\1***@", inner.format(record))

    handler.setFormatter(Masked())


# %% wrong: misses-urls | stands between the user's `:` and the `@`
import logging


def protect_handler(handler, secrets):
    inner = handler.formatter or logging.Formatter()

    class Masked(logging.Formatter):
        def format(self, record):
            text = inner.format(record)
            for secret in sorted(secrets, key=len, reverse=True):
                text = text.replace(secret, "***")
            return text

    handler.setFormatter(Masked())


# %% wrong: masks-one-url | Several URLs
import logging
import re


def protect_handler(handler, secrets):
    inner = handler.formatter or logging.Formatter()

    class Masked(logging.Formatter):
        def format(self, record):
            text = inner.format(record)
            for secret in sorted(secrets, key=len, reverse=True):
                text = text.replace(secret, "***")
            return re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s@]*@", r"\1***@", text, count=1)

    handler.setFormatter(Masked())


# %% wrong: masks-nothing | writes every secret as before
import logging
import re


class Masked(logging.Formatter):
    def format(self, record):
        return re.sub(r"://([^:]*):[^@]*@", r"://\1:***@", super().format(record))


def protect_handler(handler, secrets):
    logging.getLogger().addFilter(lambda record: True)
    Masked()


# %% wrong: hides-too-much | More than the password is gone
import logging


def protect_handler(handler, secrets):
    class Masked(logging.Formatter):
        def format(self, record):
            return "***"

    handler.setFormatter(Masked())


# %% wrong: hides-too-much | a user, a host
import logging
import re


def protect_handler(handler, secrets):
    inner = handler.formatter or logging.Formatter()

    class Masked(logging.Formatter):
        def format(self, record):
            text = inner.format(record)
            for secret in sorted(secrets, key=len, reverse=True):
                text = text.replace(secret, "***")
            return re.sub(r"\w[\w+.-]*://\S*", "***", text)

    handler.setFormatter(Masked())


# %% wrong: drops-lines | A line is missing
import logging
import re


def protect_handler(handler, secrets):
    def allowed(record):
        text = logging.Formatter().format(record)
        return not any(each in text for each in secrets) and not re.search(r"://[^\s:/]*:[^\s@]*@", text)

    handler.addFilter(allowed)


# %% wrong: loses-the-format | The handler has lost its format
import logging
import re


class Masked(logging.Formatter):
    def __init__(self, secrets):
        super().__init__()
        self.secrets = sorted(secrets, key=len, reverse=True)

    def format(self, record):
        text = super().format(record)
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s@]*@", r"\1***@", text)


def protect_handler(handler, secrets):
    handler.setFormatter(Masked(secrets))


# %% wrong: needs-a-formatter | A handler without a formatter has None there
import logging
import re


def protect_handler(handler, secrets):
    inner = handler.formatter.format

    class Masked(logging.Formatter):
        def format(self, record):
            text = inner(record)
            for secret in sorted(secrets, key=len, reverse=True):
                text = text.replace(secret, "***")
            return re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s@]*@", r"\1***@", text)

    handler.setFormatter(Masked())


# %% wrong: misses-known-secrets | as it is, without a URL around it
# The shorter secret first: of the longer one an end is left.
import logging
import re


def protect_handler(handler, secrets):
    inner = handler.formatter or logging.Formatter()

    class Masked(logging.Formatter):
        def format(self, record):
            text = inner.format(record)
            for secret in secrets[:1]:
                text = text.replace(secret, "***")
            return re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s@]*@", r"\1***@", text)

    handler.setFormatter(Masked())


# %% wrong: masks-the-shorter-first | the longest
import logging
import re


def protect_handler(handler, secrets):
    inner = handler.formatter or logging.Formatter()

    class Masked(logging.Formatter):
        def format(self, record):
            text = inner.format(record)
            for secret in secrets:
                text = text.replace(secret, "***")
            return re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s@]*@", r"\1***@", text)

    handler.setFormatter(Masked())


# %% error: object has no attribute 'masks'
def protect_handler(handler, secrets):
    handler.masks(secrets)


# %% timed out: waits for ever
def protect_handler(handler, secrets):
    while True:
        pass
