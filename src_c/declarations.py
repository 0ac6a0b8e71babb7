"""What Cython must know of the micro-kernels, written from src_c/kernels.h, where each is declared once, and from
pointwise.h, which is a part of it.

    fastconv/_core/runtime/kernels.pxd   the enums, the structs and the table, in both precisions
    fastconv/_core/runtime/calls.pxi     for each kernel a function that calls it in the precision of its arguments;
                                         isa.pxd includes it, and has those by hand that choose among several, or
                                         change an argument

setup.py writes both before it compiles; they are not committed. What kernels.h may contain is what it does contain:
enums, structs of numbers and pointers, and within FC_DECLARE_KERNELS structs with pointers to functions.
"""

import re
from pathlib import Path

HEADERS, RUNTIME = (Path("src_c/pointwise.h"), Path("src_c/kernels.h")), Path("fastconv/_core/runtime")
POINTER = re.compile(r"(\w[\w ]*\*?) ?\(\*(\w+)((?:\[[^]]+\])*)\)\((.*)\)$")
INDICES = "ijk"
WIDTH = 120
WRITTEN = "# Written by declarations.py from src_c/kernels.h."


def plain(text):
    """C without comments, with one blank at most between words."""
    text = re.sub(r"/\*.*?\*/", " ", text.replace("\\\n", "\n"), flags=re.S)
    return re.sub(r"\s+", " ", text).replace("( ", "(").replace("* ", "*")


def cython(text):
    return text.replace("ptrdiff_t", "Py_ssize_t").replace("(void)", "()").replace("*const *", "**")


def members(body):
    """The members of a struct, a line each."""
    for member in filter(None, map(str.strip, body.split(";"))):
        if "(*" in member:
            yield cython(member) + " noexcept nogil"
        else:
            kind, names = re.match(r"((?:const )?\w+) (.*)", member).groups()
            yield from (f"{cython(kind)} {name.strip()}" for name in (names.split(",") if "*" in names else [names]))


def in_precision(text, number, integer, name):
    return re.sub(r"\bT\b", number, re.sub(r"\bI\b", integer, text.replace("##NAME", name)))


def wrapped(line, indent):
    """A line of Cython, broken after commas where it is too long."""
    line, lines = " " * indent + line, []
    aligned = line.index("(", line.index(")(") + 1 if ")(" in line else 0) + 1 if "(" in line else indent + 4
    while len(line) > WIDTH:
        cut = line.rindex(", ", 0, WIDTH) + 1
        lines.append(line[:cut])
        line = " " * aligned + line[cut:].strip()
    return "\n".join([*lines, line])


def declarations(header):
    """The text of kernels.pxd."""
    before, macro, after = re.match("(.*)#define "
                                    r"FC_DECLARE_KERNELS\(T, I, NAME\)(.*?)FC_DECLARE_KERNELS\(float.*?f64\)(.*)",
                                    plain(header), re.S).groups()
    lines = [WRITTEN, "from libc.stdint cimport int32_t, int64_t", "",
             'cdef extern from "kernels.h" nogil:', "    enum:"]
    for names in re.findall(r"enum \{(.*?)\};", before):
        lines += [f"        {name.split('=')[0].strip()}" for name in names.split(",")]
    lines += [f"    Py_ssize_t {name}" for name in re.findall(r"#define (FC_\w+) PTRDIFF_\w+", before)]
    structs = re.findall(r"typedef struct \{(.*?)\} (\w+);", before)
    for precision in (("float", "int32_t", "f32"), ("double", "int64_t", "f64")):
        structs += [(in_precision(body, *precision), in_precision(name, *precision))
                    for body, name in re.findall(r"typedef struct \{(.*?)\} ([\w#]+);", macro)]
    for body, name in [*structs, *re.findall(r"typedef struct \{(.*?)\} (\w+);", after)]:
        lines += ["", f"    ctypedef struct {name}:", *(wrapped(member, 8) for member in members(body))]
    lines += ["", *(f"    {cython(function)}"
                    for function in re.findall(r"\w[\w ]*\*?fc_isa_\w+\([^)]*\)(?=;)", after))]
    return "\n".join(lines) + "\n"


def calls(header, by_hand):
    """The text of calls.pxi: all kernels but those that the text of isa.pxd calls by itself."""
    functions, structs = [], set()
    body = re.search(r"fc_winograd_##NAME;.*?\{(.*?)\} fc_kernels_##NAME;", plain(header)).group(1)
    for member in map(str.strip, body.split(";")):
        found = POINTER.match(member)
        if found is None or re.search(rf"kernels\.f32\.{found[2]}\b", by_hand):
            continue
        result, name, sizes, parameters = found.groups()
        structs.update(re.findall(r"fc_\w+", parameters))
        functions += ["", "", call(cython(result).strip(), name, sizes.count("["), cython(parameters).split(", "))]
    names = wrapped("from fastconv._core.runtime.kernels cimport (" + ", ".join(sorted(structs)) + ")", 0)
    return "\n".join([WRITTEN, "from libc.stdint cimport int32_t, int64_t", "", names, *functions]) + "\n"


def call(result, name, dimensions, parameters):
    """One function: the places in its table first, then the parameters of the kernel.
    An I is an int64_t, or behind a void *."""
    indices = list(INDICES[:dimensions])
    outside = [re.sub(r"\bT\b", "floating", re.sub(r"\bI\b(?= ?\*)", "void", parameter)) for parameter in parameters]
    outside = [re.sub(r"\bI\b", "int64_t", parameter) for parameter in outside]
    lines = [wrapped(f"cdef inline {result.replace('T', 'floating')} {name}("
                     + ", ".join([f"int {index}" for index in indices] + outside) + ") noexcept nogil:", 0)]
    for condition, precision, integer in (("if floating is float", "f32", "int32_t"), ("else", "f64", "int64_t")):
        arguments = []
        for parameter in parameters:
            kind, argument = re.match(r"(.*?)(\w+)$", parameter).groups()
            arguments.append(f"<{re.sub(r'I', integer, kind).strip()}>{argument}"
                             if re.search(r"\bI\b", kind) else argument)
        table = "".join(f"[{index}]" for index in indices)
        lines += [f"    {condition}:", wrapped(("" if result == "void" else "return ")
                                               + f"kernels.{precision}.{name}{table}({', '.join(arguments)})", 8)]
    return "\n".join(lines)


def write():
    """Writes what has changed, so that only what depends on it is compiled anew."""
    header = "".join(path.read_text() for path in HEADERS)
    for name, text in (("kernels.pxd", declarations(header)),
                       ("calls.pxi", calls(header, (RUNTIME / "isa.pxd").read_text()))):
        path = RUNTIME / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
