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
        return re.sub(r"([a-zA-Z][a-zA-Z0-9+.\-]*://[^\s:/@]*:)[^\s@]+@", r"\1***@", text)

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


# %% right: a copied record, before the handler gets it
import logging, re, copy
def protect_handler(handler, secrets):
    inner = handler.formatter or logging.Formatter()
    def mask(t):
        for s in sorted(secrets, key=len)[::-1]: t = t.replace(s, "*"*8)
        return re.sub(r"(://[^:@\s/]*:)[^@\s]+@", r"\1*@", t)
    handle = handler.handle
    def new(record):
        r = logging.makeLogRecord(record.__dict__)
        r.msg, r.args = mask(record.getMessage()), None
        if r.exc_info: r.exc_text = mask(inner.formatException(r.exc_info)); r.exc_info = None
        return handle(r)
    handler.handle = new


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


# %% wrong: hides-too-much | More than the password is gone
import logging


def protect_handler(handler, secrets):
    class Masked(logging.Formatter):
        def format(self, record):
            return "***"

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


# %% wrong: masks-one-secret | one of them twice
import logging, re
class F(logging.Formatter):
    def __init__(self, i, s): super().__init__(); self.i, self.s = i, s
    def format(self, r):
        t = self.i.format(r)
        for s in sorted(self.s, key=len)[::-1]: t = t.replace(s, "***", 1)
        return re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s@]*@", r"\1***@", t)
def protect_handler(h, s): h.setFormatter(F(h.formatter or logging.Formatter(), s))


# %% wrong: misses-odd-passwords | hold more than letters
import logging, re
class F(logging.Formatter):
    def __init__(self, i, s): super().__init__(); self.i, self.s = i, s
    def format(self, r):
        t = self.i.format(r)
        for s in sorted(self.s, key=len)[::-1]: t = t.replace(s, "***")
        return re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[\w-]+@", r"\1***@", t)
def protect_handler(h, s): h.setFormatter(F(h.formatter or logging.Formatter(), s))


# %% wrong: changes-what-is-shared | `Formatter` object
import logging, re
def protect_handler(handler, secrets):
    f = handler.formatter
    if f is None:
        f = logging.Formatter(); handler.setFormatter(f)
    old = f.format
    def new(record):
        t = old(record)
        for s in sorted(secrets, key=len)[::-1]: t = t.replace(s, "-")
        return re.sub(r"(://[^:@\s/]*:)[^@\s]+@", r"\1-@", t)
    f.format = new


# %% wrong: needs-a-user | nothing stands before the
import logging, re
class F(logging.Formatter):
    def __init__(self, i, s): super().__init__(); self.i, self.s = i, s
    def format(self, r):
        t = self.i.format(r)
        for s in sorted(self.s, key=len)[::-1]: t = t.replace(s, "***")
        return re.sub(r"(\w[\w+.-]*://[^\s:/@]+:)[^\s@]*@", r"\1***@", t)
def protect_handler(h, s): h.setFormatter(F(h.formatter or logging.Formatter(), s))


# %% wrong: masks-nothing | or it masks nothing
import logging
def protect_handler(handler, secrets):
    handler.addFilter(lambda r: True)


# %% wrong: drops-lines | stream was closed
def protect_handler(h, s): h.stream.close()


# %% wrong: drops-lines | failed while it wrote
import logging, re
class F(logging.Formatter):
    def __init__(self, i, s): super().__init__(); self.i, self.s = i, s
    def format(self, r):
        t = self.i.format(r)
        for s in sorted(self.s, key=len)[::-1]: t = re.sub(s, "***", t)
        return re.sub(r"(\w[\w+.-]*://[^\s:/@]*:)[^\s@]*@", r"\1***@", t)
def protect_handler(h, s): h.setFormatter(F(h.formatter or logging.Formatter(), s))


# %% error: object has no attribute 'masks'
def protect_handler(handler, secrets):
    handler.masks(secrets)


# %% timed out: waits for ever
def protect_handler(handler, secrets):
    while True:
        pass
