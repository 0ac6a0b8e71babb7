"""Build the compiled core: Cython drivers over C micro-kernels.

The micro-kernels (src_c/table.c) are compiled once for each instruction set, each time with its own flags, and linked into
the one extension module `fastconv._core.isa`; every other module reaches them through that module's table of function
pointers and is compiled for the baseline only. What the compiler cannot do (an instruction set, OpenMP) is left out, and
`fastconv.show_config()` says so.

Switches (environment variables): FASTCONV_DEBUG=1 turns Cython's bounds checks on and optimisation down;
FASTCONV_SANITIZE=address,undefined compiles everything with these sanitizers.
"""

import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

CORE = Path("fastconv/_core")
DEBUG = os.environ.get("FASTCONV_DEBUG") == "1"
SANITIZE = os.environ.get("FASTCONV_SANITIZE", "")

COMMON_FLAGS = ["-std=gnu11", "-O1" if DEBUG else "-O3", "-g1" if DEBUG else "-g0"]
# gnu11 and not c11: with the latter gcc no longer contracts a * b + c into one fused operation.
KERNEL_FLAGS = ["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
if SANITIZE:
    COMMON_FLAGS += [f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer"]

if platform.machine().lower() in ("x86_64", "amd64"):
    INSTRUCTION_SETS = {
        "baseline": [],
        "avx2": ["-mavx2", "-mfma"],
        "avx512": ["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"],
    }
elif platform.machine().lower() in ("aarch64", "arm64"):
    INSTRUCTION_SETS = {"neon": []}
else:
    INSTRUCTION_SETS = {"baseline": []}


class BuildCore(build_ext):
    """build_ext that compiles the micro-kernels once for each instruction set and finds out whether OpenMP is there."""

    def build_extensions(self):
        if self.compiler.compiler_type == "msvc":
            sys.exit("fastconv needs GCC or Clang: its kernels use their vector extensions, which MSVC does not have")
        openmp = ["-fopenmp"] if self._compiles("#include <omp.h>\nint main(void){return omp_get_max_threads()<1;}", ["-fopenmp"]) else []
        sanitize = [f"-fsanitize={SANITIZE}"] if SANITIZE else []
        for ext in self.extensions:
            ext.extra_compile_args += COMMON_FLAGS + openmp
            ext.extra_link_args += openmp + sanitize
        sets = [name for name, flags in INSTRUCTION_SETS.items() if self._compiles("int main(void){return 0;}", flags)]
        isa = next(ext for ext in self.extensions if ext.name == "fastconv._core.isa")
        isa.define_macros += [(f"FC_HAVE_{name.upper()}", "1") for name in sets]
        for name in sets:
            isa.extra_objects += self.compiler.compile(
                ["src_c/table.c"],
                output_dir=os.path.join(self.build_temp, name),
                include_dirs=["src_c"],
                macros=[("FC_ISA", name)],
                extra_postargs=COMMON_FLAGS + KERNEL_FLAGS + INSTRUCTION_SETS[name],
                depends=isa.depends,
            )
        super().build_extensions()

    def _compiles(self, source, flags):
        """Whether the compiler takes this program with these flags, and links it."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "probe.c")
            path.write_text(source)
            try:
                objects = self.compiler.compile([str(path)], output_dir=folder, extra_postargs=flags)
                self.compiler.link_executable(objects, "probe", output_dir=folder, extra_postargs=flags)
            except (CompileError, LinkError):
                return False
        return True


def extensions():
    headers = sorted(str(path) for path in Path("src_c").glob("*.h"))
    for pyx in sorted(CORE.glob("*.pyx")):
        name = f"fastconv._core.{pyx.stem}"
        sources = [str(pyx)] + (["src_c/cpu.c"] if pyx.stem == "isa" else [])
        yield Extension(name, sources, include_dirs=["src_c", numpy.get_include()], depends=headers + ["src_c/table.c"])


setup(
    ext_modules=cythonize(
        list(extensions()),
        language_level=3,
        compiler_directives={
            "boundscheck": DEBUG,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": True,
            "embedsignature": True,
        },
    ),
    cmdclass={"build_ext": BuildCore},
)
