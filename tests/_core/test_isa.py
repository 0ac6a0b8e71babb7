"""The choice of the instruction set, and what FASTCONV_ISA says of a set that cannot be taken."""

import os
import subprocess
import sys

import pytest

from fastconv._core.runtime import isa

X86 = ["baseline", "avx2", "avx512"]


def refusal(*arguments):
    with pytest.raises(ImportError) as refused:
        isa.choice(*arguments)
    return str(refused.value)


def test_the_highest_is_taken_unless_another_is_forced():
    assert isa.choice("", X86, X86, X86) == "avx512"
    assert isa.choice("", X86, X86, X86[:2]) == "avx2"
    for name in X86:
        assert isa.choice(name, X86, X86, X86) == name


def test_a_set_that_cannot_be_forced_is_an_error_that_says_why():
    assert (refusal("sse9", X86, X86, X86)
            == "FASTCONV_ISA='sse9': there is no such set; possible are baseline, avx2, avx512")
    assert (refusal("AVX2", X86, X86, X86)
            == "FASTCONV_ISA='AVX2': there is no such set; possible are baseline, avx2, avx512")
    assert refusal("neon", X86, X86, X86[:1]) == "FASTCONV_ISA='neon': there is no such set; possible are baseline"
    assert (refusal("avx512", X86, X86, X86[:2])
            == "FASTCONV_ISA='avx512': this CPU does not have it; possible are baseline, avx2")
    assert refusal("avx512", X86, X86[:2], X86[:2]) == (
        "FASTCONV_ISA='avx512': this build does not have it; possible are baseline, avx2")


@pytest.mark.parametrize("forced", ["", "avx2"])
def test_a_build_for_other_machines(forced):
    assert refusal(forced, X86, ["avx2"], []) == (
        "fastconv was built without any instruction set that this CPU has: compiled in are ['avx2']")


def test_the_sets_are_in_order():
    assert isa.in_use() in isa.usable()
    assert isa.usable() == [name for name in isa.known() if name in isa.usable()]
    assert set(isa.usable()) <= set(isa.compiled()) <= set(isa.known())
    assert isa.vector_bytes() == 4 * isa.tile(4)[0] == 8 * isa.tile(8)[0]


def imported(value):
    script = [sys.executable, "-c", "from fastconv._core.runtime import isa; print(isa.in_use(), isa.vector_bytes())"]
    return subprocess.run(script, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "FASTCONV_ISA": value})


@pytest.mark.parametrize("name", isa.usable())
def test_the_variable_forces_a_set(name):
    done = imported(name)
    assert done.returncode == 0, done.stderr
    bytes_of_vector = {"baseline": 16, "avx2": 32, "avx512": 64, "neon": 16}
    assert done.stdout.split() == [name, str(bytes_of_vector[name])]


def test_an_empty_variable_is_none():
    assert imported("").stdout.split()[0] == isa.usable()[-1]


@pytest.mark.parametrize("name", ["sse9", " avx2", *(name for name in isa.known() if name not in isa.usable())])
def test_the_variable_with_another_set(name):
    done = imported(name)
    why = ("there is no such set" if name not in isa.known() else
           "this CPU does not have it" if name in isa.compiled() else "this build does not have it")
    assert done.returncode == 1 and done.stdout == ""
    assert (done.stderr.splitlines()[-1]
            == f"ImportError: FASTCONV_ISA={name!r}: {why}; possible are {', '.join(isa.usable())}")
