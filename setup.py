"""Build the compiled core: Cython drivers over C micro-kernels.

The micro-kernels (src_c/table.c) are compiled once for each instruction set, each time with its own flags, and linked
into the one extension module `fastconv._core.runtime.isa`; every other module reaches them through that module's table
of function pointers and is compiled for the baseline only. What the compiler cannot do (an instruction set, OpenMP)
is left out, and `fastconv.show_config()` says so. Generated C goes to build/, never into the source tree.

The kernels' declarations for Cython are written first, from src_c/kernels.h: see src_c/declarations.py.

Switches (environment variables): FASTCONV_DEBUG=1 turns Cython's bounds checks on and optimisation down;
FASTCONV_SANITIZE=address,undefined compiles everything with these sanitizers.
"""

import logging
import os
import platform
import runpy
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import Cython
import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import CompileError, LinkError
from setuptools.modified import newer_group

DEBUG = os.environ.get("FASTCONV_DEBUG") == "1"
SANITIZE = os.environ.get("FASTCONV_SANITIZE", "")

# gnu11 and not c11: with the latter gcc no longer contracts a * b + c into one fused operation.
# No link-time optimisation: it could merge the instruction sets' units that must stay apart.
# What Cython writes calls kernels, which take the time and are compiled with -O3: that would make it a sixth larger.
COMPILE_FLAGS = ["-std=gnu11", "-O1" if DEBUG or SANITIZE else "-O2", "-g1" if DEBUG or SANITIZE else "-g0",
                 "-fvisibility=hidden", "-fno-lto"]
if not (DEBUG or SANITIZE):
    # No exception passes through C; the tables to unwind its frames would be 100 KB of the wheel.
    COMPILE_FLAGS += ["-fno-asynchronous-unwind-tables"]
# Where Cython's functions begin matters to no loop, and takes 15 KB of the wheel.
CYTHON_FLAGS = [] if DEBUG or SANITIZE else ["-fno-align-functions", "-fno-align-jumps", "-fno-align-labels"]
KERNEL_FLAGS = ["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"]
if not (DEBUG or SANITIZE):
    KERNEL_FLAGS += ["-O3"]
LINK_FLAGS = ["-Wl,-s"] if sys.platform == "linux" and not (DEBUG or SANITIZE) else []
if SANITIZE:
    COMPILE_FLAGS += [f"-fsanitize={SANITIZE}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
    # Products and sums are fused, as the bounds of what functions round take for granted.
    COMPILE_FLAGS += ["-fexpensive-optimizations"]
    # Calls and not code: that compiles in half the time.
    COMPILE_FLAGS += ["--param", "asan-instrumentation-with-call-threshold=0"]
    LINK_FLAGS += [f"-fsanitize={SANITIZE}"]
CYTHON_DIRECTIVES = {
    "boundscheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "freethreading_compatible": True,
    "embedsignature": True,
}

if platform.machine().lower() in ("x86_64", "amd64"):
    INSTRUCTION_SETS = {
        "baseline": ["-O2"],  # for processors older than 2013: 28 KB less of the wheel
        "avx2": ["-mavx2", "-mfma"],
        "avx512": ["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma", "-mprefer-vector-width=512"],
    }
elif platform.machine().lower() in ("aarch64", "arm64"):
    INSTRUCTION_SETS = {"neon": []}
else:
    INSTRUCTION_SETS = {"baseline": []}

runpy.run_path("src_c/declarations.py")["write"]()  # before the modules are looked for

MACROS = [
    ("NPY_TARGET_VERSION", "NPY_1_25_API_VERSION"),  # the oldest that the package takes
    ("CYTHON_FAST_THREAD_STATE", "0"),  # errors are raised by calls and not by code: 46 KB less of the wheel
]
HEADERS = sorted(str(path) for path in Path("src_c").glob("*.h"))
EXTENSIONS = [  # the largest first, so that no core is left alone with one at the end
    Extension(
        ".".join(pyx.with_suffix("").parts),
        [str(pyx)] + (["src_c/cpu.c"] if pyx.stem == "isa" else []),
        include_dirs=["src_c", "fastconv/c_api/include", numpy.get_include()],
        define_macros=list(MACROS),
        depends=HEADERS + ["src_c/table.c"] if pyx.stem == "isa" else ["src_c/kernels.h", "src_c/pointwise.h"]
        + sorted(map(str, pyx.parent.glob("include/*.h"))),
    )
    for pyx in sorted(Path("fastconv").rglob("*.pyx"), key=lambda path: (-path.stat().st_size, path.name))
]
# What Cython writes for memoryviews and its own functions, once and not in each module: a build takes a third less.
SHARED_MODULE = Extension("fastconv._core._cyutility", ["fastconv/_core/_cyutility.c"], define_macros=list(MACROS))
EXTENSIONS.append(SHARED_MODULE)


class BuildCore(build_ext):
    """build_ext that finds out what the compiler can do and compiles the micro-kernels once
    for each instruction set."""

    def build_extensions(self):
        self._check_compiler()
        openmp = ["-fopenmp"] if self._compiles("#include <omp.h>\nint main(void){return omp_get_max_threads()<1;}",
                                                ["-fopenmp"]) else []
        sets = [name for name, flags in INSTRUCTION_SETS.items() if self._compiles("int main(void){return 0;}", flags)]
        record = Path(self.build_temp, "configuration")
        configuration = self._configuration(openmp, sets)
        if not record.exists() or record.read_text() != configuration:
            self.force = True  # what an earlier build left was made by another compiler, or with other flags
            record.unlink(missing_ok=True)
        self.parallel = self.parallel if isinstance(self.parallel, int) and self.parallel > 1 else os.cpu_count()
        self._start, self._telling = time.monotonic(), threading.Lock()
        self._done, self._all = 0, len(sets) + len(self.extensions)
        self.announce(f"fastconv: compiling kernels for {', '.join(sets)} and {len(self.extensions)} modules, "
                      f"some minutes with {self.parallel} processes", logging.INFO)
        with ThreadPoolExecutor(self.parallel) as pool:  # Cython works in this thread, meanwhile
            # The one that takes longest comes first.
            tables = {name: pool.submit(self._compile_table, name) for name in reversed(sets)}
            self._cythonize()
            objects = [tables[name].result() for name in sets]
        for ext in self.extensions:
            ext.extra_compile_args += COMPILE_FLAGS + CYTHON_FLAGS + openmp
            ext.extra_link_args += LINK_FLAGS + openmp
            if ext.name == "fastconv._core.runtime.isa":
                ext.define_macros += [(f"FC_HAVE_{name.upper()}", "1") for name in sets]
                ext.extra_objects += objects
        super().build_extensions()
        record.write_text(configuration)

    def build_extension(self, ext):
        super().build_extension(ext)
        self._say_done(ext.name)

    def copy_extensions_to_source(self):
        self.force = True  # otherwise a file that another build left in the tree, being newer, would stay
        super().copy_extensions_to_source()

    def _say_done(self, what):
        """A line of progress, which `pip install -v` and `python -m build` show."""
        with self._telling:
            self._done += 1
            self.announce(f"fastconv: {self._done} of {self._all} done "
                          f"after {time.monotonic() - self._start:.0f} s: {what}", logging.INFO)

    def _check_compiler(self):
        if self.compiler.compiler_type == "msvc":
            sys.exit("fastconv needs GCC or Clang: its kernels use their vector extensions, which MSVC does not have")
        if not self._compiles("int main(void){return 0;}", []):
            sys.exit(f"fastconv needs a C compiler, and {self.compiler.compiler_so[0]!r} does not compile and link a "
                     "program of one line. Install GCC (Debian, Ubuntu: apt install gcc libc6-dev; Fedora: "
                     "dnf install gcc) or Clang, or name one: CC=/path/to/gcc pip install ...")
        if not self._compiles("#include <Python.h>\nint main(void){return 0;}", []):
            sys.exit("fastconv needs Python's header files, and Python.h is not there or does not compile "
                     "(Debian, Ubuntu: apt install python3-dev; Fedora: dnf install python3-devel)")

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

    def _configuration(self, openmp, sets):
        """All that decides what is compiled, beside the sources."""
        version = subprocess.run([self.compiler.compiler_so[0], "--version"], capture_output=True, text=True).stdout
        return repr([self.compiler.compiler_so, self.compiler.linker_so, version, openmp, sets, self.build_lib,
                     numpy.__version__, Cython.__version__, COMPILE_FLAGS, CYTHON_FLAGS, KERNEL_FLAGS, LINK_FLAGS,
                     INSTRUCTION_SETS, CYTHON_DIRECTIVES])

    def _cythonize(self):
        """Turns the extensions' .pyx sources into C files under build/, which are the same for every machine."""
        folder = Path(self.build_temp, "cython")
        record, translator = folder / "translator", repr([Cython.__version__, numpy.__version__, CYTHON_DIRECTIVES])
        fresh = record.exists() and record.read_text() == translator
        record.unlink(missing_ok=True)
        modules = [Extension(ext.name, ext.sources[:1]) for ext in self.extensions]
        generated = {module.name: module.sources for module in cythonize(
            modules, build_dir=str(folder), force=not fresh or None, language_level=3,
            compiler_directives=CYTHON_DIRECTIVES, shared_utility_qualified_name=SHARED_MODULE.name)}
        for ext in self.extensions:
            ext.sources = generated[ext.name] + ext.sources[1:]
        record.write_text(translator)

    def _compile_table(self, name):
        """The object file of table.c for one instruction set."""
        folder = os.path.join(self.build_temp, name)
        [table] = self.compiler.object_filenames(["src_c/table.c"], output_dir=folder)
        if self.force or newer_group(HEADERS + ["src_c/table.c"], table):
            self.compiler.compile(
                ["src_c/table.c"],
                output_dir=folder,
                include_dirs=["src_c"],
                macros=[("FC_ISA", name)],
                extra_postargs=COMPILE_FLAGS + KERNEL_FLAGS + INSTRUCTION_SETS[name],
            )
        self._say_done(f"kernels for {name}")
        return table


class Cythonize(BuildCore):
    """The part of build_ext that any machine can do for any other: where the one that compiles is slow (.ci/neon)."""

    description = "turn .pyx files into the C files that build_ext with the same --build-temp compiles"

    def build_extensions(self):
        self._cythonize()


class BuildPython(build_py):
    """build_py from an empty folder, so that no module deleted since the last build gets into a wheel."""

    def run(self):
        shutil.rmtree(Path(self.build_lib, "fastconv"), ignore_errors=True)
        super().run()


setup(ext_modules=EXTENSIONS, cmdclass={"build_ext": BuildCore, "build_py": BuildPython, "cythonize": Cythonize})
