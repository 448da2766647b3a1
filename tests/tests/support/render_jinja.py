"""Renders templates with Jinja2, set up as transformers 5 sets it up. stdin: {"input": …, "templates": […]}; stdout: a JSON list with
{"output": …} or {"error": …} for each, or {"stopped": …} for one that takes seconds or gigabytes."""

import json
import resource
import signal
import sys

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_written"), [], [], body).set_lineno(line)

    def _written(self, caller):
        return caller()


class Dict:
    def __call__(self, *args, **kwargs):
        return dict(*args, **kwargs)

    def fromkeys(self, *args, **kwargs):
        return dict.fromkeys(*args, **kwargs)


class Attributes(Namespace):
    def __init__(*args, **kwargs):
        self, args = args[0], args[1:]
        attributes = dict(*args, **kwargs)
        for name in attributes:
            refuse(name)
        Namespace.__init__(self, attributes)

    def __setitem__(self, name, value):
        refuse(name)
        Namespace.__setitem__(self, name, value)


def refuse(name):
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace cannot have {name!r}")


def raise_exception(message):
    raise TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
)
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = lambda format: "2026" if format == "%Y" else 1 / 0
environment.globals["dict"] = Dict()
environment.globals["namespace"] = Attributes


class Stopped(BaseException):
    pass


def stop(*_):
    raise Stopped


signal.signal(signal.SIGALRM, stop)
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))


def render(template, variables):
    try:
        signal.alarm(5)
        variables = json.loads(variables)  # fresh ones: some filters add to a list that they are given
        return {"output": environment.from_string(template).render(**variables)}
    except (Stopped, MemoryError, RecursionError) as error:
        return {"stopped": type(error).__name__}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


cases = json.load(sys.stdin)
variables = json.dumps(cases["input"])
json.dump([render(template, variables) for template in cases["templates"]], sys.stdout)
