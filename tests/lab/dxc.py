"""Compiles HLSL with Microsoft's DXC, the compiler of Direct3D 12: `dxc.py LIBDXCOMPILER` reads [[label, profile, text], ...]
as JSON, prints how many shaders there were, or what is wrong with them. DXC is called as dxcapi.h has it."""

import ctypes
import json
import os
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

COMPILER = uuid.UUID("73e22d93-e6ce-47f3-b5bf-f0664f39c1b0")
COMPILER3 = uuid.UUID("228b4687-5a6a-4730-900c-9702b2203f54")
RESULT = uuid.UUID("58346cda-dde7-4497-9461-6f87af5e0659")
UTF8 = 65001
# As wgpu calls it, which shows no warnings either.
FLAGS = ["-E", "main", "-HV", "2018", "-no-warnings", "-enable-16bit-types"]

# Places in the tables of functions. Outside of Windows, two destructors come after the three functions of IUnknown.
RELEASE, COMPILE, STATUS, BINARY, ERRORS, POINTER, SIZE = 2, 5, 5, 6, 7, 5, 6


class Buffer(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char_p), ("size", ctypes.c_size_t), ("encoding", ctypes.c_uint32)]


def call(this, place, *arguments, returns=ctypes.c_int32):
    table = ctypes.cast(this, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))).contents
    function = ctypes.CFUNCTYPE(returns, ctypes.c_void_p, *(type(argument) for argument in arguments))
    return function(table[place])(this, *arguments)


def identifier(value):
    return ctypes.create_string_buffer(value.bytes_le, 16)


def address(buffer):
    return ctypes.c_void_p(ctypes.addressof(buffer))


def given(this, place):
    """The object that a function hands out, as bytes."""
    blob = ctypes.c_void_p()
    call(this, place, address(blob))
    if not blob:
        return b""
    pointer = call(blob, POINTER, returns=ctypes.c_void_p)
    size = call(blob, SIZE, returns=ctypes.c_size_t)
    value = ctypes.string_at(pointer, size) if size else b""
    call(blob, RELEASE, returns=ctypes.c_uint32)
    return value


def compile(compiler, profile, text):
    """What is wrong with a shader; nothing, where it became a DXIL container."""
    code = text.encode()
    source = Buffer(code, len(code), UTF8)
    flags = [*FLAGS, "-T", profile]
    flags = (ctypes.c_wchar_p * len(flags))(*flags)
    result, wanted = ctypes.c_void_p(), identifier(RESULT)
    arguments = [address(source), address(flags), ctypes.c_uint32(len(flags)), ctypes.c_void_p()]
    code = call(compiler, COMPILE, *arguments, address(wanted), address(result))
    if code < 0:
        return f"Compile: {code & 0xFFFFFFFF:#x}"
    status = ctypes.c_int32()
    call(result, STATUS, address(status))
    problem = given(result, ERRORS).decode(errors="replace") if status.value < 0 else ""
    if status.value >= 0 and given(result, BINARY)[:4] != b"DXBC":
        problem = "no DXIL came of it"
    call(result, RELEASE, returns=ctypes.c_uint32)
    return problem


def checked(library, label, profile, text):
    """What is wrong with a shader, by a compiler of its own: several may run at once."""
    compiler, kind, interface = ctypes.c_void_p(), identifier(COMPILER), identifier(COMPILER3)
    code = library.DxcCreateInstance(address(kind), address(interface), address(compiler))
    if code != 0:
        sys.exit(f"DxcCreateInstance: {code & 0xFFFFFFFF:#x}")
    problem = compile(compiler, profile, text)
    call(compiler, RELEASE, returns=ctypes.c_uint32)
    if not problem:
        return None
    # The rest is what follows from the first error, and may be long.
    lines = problem.splitlines()
    errors = [line for line in lines if "error:" in line and "validation errors" not in line]
    return f"{label} ({profile}): {(errors or lines)[0]}"


def main():
    library = ctypes.CDLL(sys.argv[1])
    shaders = json.load(sys.stdin)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda shader: checked(library, *shader), shaders)
        problems = [problem for problem in found if problem]
    if problems:
        print("\n".join(problems))
        print(f"{len(problems)} of {len(shaders)} shaders do not compile")
    else:
        print(f"{len(shaders)} shaders")
    sys.exit(1 if problems else 0)


main()
