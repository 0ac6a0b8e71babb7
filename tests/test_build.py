"""What a build must be like: one symbol a kernel unit, baseline code outside of them, nothing useless in the wheel,
quick to import, not mute; and builds with compilers that can do less (slow)."""

import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
from pathlib import Path

import pytest
from processes import in_new_process

import fastconv as fc
from fastconv._core.runtime import isa

ROOT = Path(__file__).resolve().parents[1]
CORE = Path(isa.__file__).parent
MODULES = sorted(CORE.glob("*.so"))
COMPILER = os.environ.get("CC", "gcc").split()[0]

source_tree = pytest.mark.skipif(not (ROOT / "src_c").is_dir(), reason="the source tree is not here")
x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="about x86-64")


def needs(*programs):
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")


def output(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


@source_tree
@needs(COMPILER, "nm")
@x86
@pytest.mark.parametrize("name, flags", [("baseline", []), ("avx2", ["-mavx2", "-mfma"]),
                                         ("avx512", ["-mavx512f", "-mavx512vl", "-mavx512bw", "-mavx512dq", "-mfma"])])
def test_a_kernel_unit_has_one_external_symbol(name, flags, tmp_path):
    """Otherwise the linker could merge two instruction sets' copies of an inline function."""
    output(COMPILER, "-std=gnu11", "-O0", "-Wno-psabi", *flags, f"-DFC_ISA={name}", "-c", str(ROOT / "src_c/table.c"),
           "-o", str(tmp_path / "table.o"))
    symbols = output("nm", "-g", "--defined-only", str(tmp_path / "table.o")).split("\n")
    assert [line.split()[-1] for line in symbols if line] == [f"fc_table_{name}"]


@needs("nm")
@pytest.mark.skipif(sys.platform != "linux", reason="about ELF files")
@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name.split(".")[0])
def test_a_module_exports_its_init_function_alone(module):
    symbols = output("nm", "-D", "--defined-only", str(module)).split("\n")
    assert [line.split()[-1] for line in symbols if line] == [f"PyInit_{module.name.split('.')[0]}"]


@needs("objdump")
@x86
@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name.split(".")[0])
def test_only_the_kernels_use_wide_registers(module):
    """Everything else must run on any x86-64; the kernel units are all in the module isa."""
    wide = re.findall(r"%[yz]mm\d", output("objdump", "-d", "--no-show-raw-insn", str(module)))
    assert bool(wide) == (module.name.startswith("isa.") and isa.compiled() != ["baseline"])


def test_this_build_has_every_instruction_set_and_openmp():
    """Of a build for others: what this machine's compiler leaves out is a defect of the build."""
    if os.environ.get("FASTCONV_TEST_INSTALLED") != "1":
        pytest.skip("only for the wheel: FASTCONV_TEST_INSTALLED=1")
    config = fc.show_config("dicts")
    assert config["isa"]["missing"] == [] and config["openmp"]


def test_numpy_is_the_only_requirement():
    required = importlib.metadata.requires("fastconv") if _installed() else None
    if required is None:
        pytest.skip("fastconv is not installed: it has no metadata")
    assert [re.match(r"[\w-]+", line).group() for line in required if "extra ==" not in line] == ["numpy"]


def _installed():
    try:
        return importlib.metadata.distribution("fastconv")
    except importlib.metadata.PackageNotFoundError:
        return None


def copied(folder):
    """The source tree, without what builds left in it, in this folder."""
    pytest.importorskip("Cython", reason="Cython is not installed: nothing to build with")
    pytest.importorskip("setuptools.modified", reason="setuptools is missing or too old: nothing to build with")
    if not (ROOT / "src_c").is_dir():
        pytest.skip("the source tree is not here")
    for name in ("fastconv", "src_c", "tests", "benchmarks", "examples", "docs"):
        shutil.copytree(ROOT / name, folder / name,
                        ignore=shutil.ignore_patterns("*.so", "*.c" if name == "fastconv" else "", "__pycache__"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, folder / path.name)
    return folder


@pytest.fixture
def sources(tmp_path_factory):
    return copied(tmp_path_factory.mktemp("sources"))


# What a wheel holds beside its metadata; fastconv.libs has the OpenMP run-time library,
# if the wheel was repaired for manylinux.
USEFUL = re.compile(
    r"fastconv/(\w+/)*(\w+\.pyi?|py\.typed|\w[\w.-]*\.so)$"
    r"|fastconv/data/(mnist5k|samples)(\.npz|\.README\.md)$"
    r"|fastconv/lecture/static/(i18n/|views/)?\w+\.(html|css|js|json|svg)$"
    r"|fastconv/(__init__\.pxd|c_api/declarations\.pxd|c_api/include/fastconv\.h)$"
    r"|fastconv\.libs/lib(gomp|omp|iomp5)-[0-9a-f]+\.so[\d.]*$"
)


def useless(files):
    return [name for name in files if not USEFUL.match(name)]


def test_nothing_useless_was_installed():
    files = _installed() and _installed().files
    if not files or not {"RECORD", "isa.pyi"} <= {path.name for path in files}:
        pytest.skip("fastconv is not installed from a wheel: there is no list of its files")
    own = [str(path) for path in files if ".dist-info" not in path.parts[0] and "__pycache__" not in path.parts]
    assert useless(name for name in own if not name.endswith("bin/fastconv")) == []


def test_a_wheel_would_have_nothing_useless(sources, tmp_path):
    """build_py copies all that a wheel has, beside what is compiled."""
    output(sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path), cwd=sources)
    files = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert useless(files) == []
    for path in sources.glob("fastconv/**/*"):
        if (path.suffix in (".py", ".pyi", ".npz", ".md", ".h") or path.name == "py.typed"
                or (path.is_file() and "static" in path.parts)):
            assert path.relative_to(sources).as_posix() in files
    # What `cimport fastconv` reads; the declarations of the engine room are for nobody else.
    assert {name for name in files if name.endswith(".pxd")} == {"fastconv/__init__.pxd",
                                                                 "fastconv/c_api/declarations.pxd"}


def test_an_sdist_has_all_that_a_build_needs_and_nothing_generated(sources, tmp_path):
    output(sys.executable, "setup.py", "-q", "sdist", "--formats=gztar", "--dist-dir", str(tmp_path), cwd=sources)
    archive, = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        files = {name.split("/", 1)[1] for name in opened.getnames() if "/" in name}
    needed = {path.relative_to(ROOT).as_posix()
              for pattern in ("fastconv/**/*.py*", "fastconv/**/*.pxd", "fastconv/**/*.h", "src_c/*.[ch]",
                              "docs/**/*.*", "benchmarks/**/*.py", "examples/**/*.*", "tests/**/*.[cp]*")
              for path in ROOT.glob(pattern)
              if path.suffix != ".pyc" and path.name != "kernels.pxd" and "gallery_made" not in path.parts}
    assert needed <= files
    assert not [name for name in files
                if name.endswith((".so", ".pyc")) or re.match(r"build/|fastconv/_core/.*\.c$", name)]


@source_tree
def test_project_urls():
    text = (ROOT / "pyproject.toml").read_text()
    urls = dict(re.findall(r'^(\w+) = "(https://.*)"$', text.split("[project.urls]")[1].split("\n[")[0], re.M))
    assert list(urls) == ["Homepage", "Documentation", "Changelog", "Issues"]
    assert all(url.startswith(urls["Homepage"]) for url in urls.values())


def test_a_build_says_how_far_it_is(sources, tmp_path):
    """With a compiler that only makes empty files, for one module and what all share; quiet where that is asked for."""
    for path in (sources / "fastconv").rglob("*.pyx"):
        if path.stem != "isa":
            path.unlink()
    compiler = tmp_path / "cc"
    compiler.write_text('#!/bin/sh\nwhile [ $# -gt 0 ]; do [ "$1" = -o ] && : > "$2"; shift; done\n')
    compiler.chmod(0o755)
    told = build(sources, compiler)
    assert told.returncode == 0, told.stderr
    assert "fastconv: compiling kernels for baseline" in told.stdout and "and 2 modules" in told.stdout
    steps = re.findall(r"^fastconv: (\d) of (\d) done after \d+ s: (.*)$", told.stdout, re.M)
    assert [int(step) for step, _, _ in steps] == list(range(1, int(steps[0][1]) + 1))
    assert {"fastconv._core.runtime.isa", "kernels for baseline"} < {what for _, _, what in steps}
    assert "fastconv:" not in build(sources, compiler, "-q").stdout


def test_import_brings_nothing_but_numpy():
    """Extras are imported where they are used."""
    others = in_new_process("""
        import sys, numpy
        before = set(sys.modules)
        import fastconv
        top = {name.split(".")[0] for name in set(sys.modules) - before}
        print(*sorted(top - set(sys.stdlib_module_names) - {"fastconv", "numpy", "cython_runtime"}))
        """).split()
    assert [name for name in others if not name.startswith("_cy")] == []  # Cython's own


def test_import_is_quick():
    """Beyond NumPy 0.05 s. CPU seconds of the thread that imports, which do not count what other processes take, nor
    the threads that NumPy's BLAS has begun, which spin for a while; where the CPU itself is slow NumPy's own import
    says so, which takes some 0.06 s otherwise."""
    script = """
        import time
        start = time.thread_time()
        import numpy
        between = time.thread_time()
        import fastconv
        print(between - start, time.thread_time() - between)
        """
    times = [tuple(map(float, in_new_process(script).split())) for _ in range(30)]
    of_numpy, own = (min(of_runs) for of_runs in zip(*times))
    assert own < max(0.05, 0.5 * of_numpy)


# ---------------------------------------------------------------------------------------------------------------------
# Builds with other compilers, in a copy of the tree.


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    if shutil.which(COMPILER) is None:
        pytest.skip("needs a compiler")
    return copied(tmp_path_factory.mktemp("tree"))


def build(tree, compiler, *options):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("FASTCONV", "PYTHONPATH"))}
    return subprocess.run([sys.executable, "setup.py", *options, "build_ext", "--inplace"], cwd=tree, text=True,
                          capture_output=True, env={**environment, "CC": str(compiler)})


def refusing(folder, name, *flags):
    """A compiler that does not know some flags; it does not optimise, which takes a quarter of the time."""
    wrapper = folder / name
    patterns = "|".join(f"{flag}*" for flag in flags)
    wrapper.write_text(textwrap.dedent(f"""\
        #!/bin/sh
        for flag; do case "$flag" in {patterns}) echo "unrecognized option $flag" >&2; exit 1;; esac; done
        exec {shutil.which(COMPILER)} "$@" -O0
        """))
    wrapper.chmod(0o755)
    return wrapper


def config_of(tree):
    """show_config() of the package in this tree, after a convolution."""
    script = """
        import json, sys
        sys.path.insert(0, sys.argv[1])
        import numpy as np, fastconv as fc
        x = np.arange(3 * 8 * 8, dtype=np.float32).reshape(1, 3, 8, 8)
        weight = np.ones((4, 3, 3, 3), np.float32)
        assert fc.conv2d(x, weight, algorithm="gemm")[0, 3, 5, 5] == x[0, :, 5:8, 5:8].sum()
        assert fc.__file__.startswith(sys.argv[1])
        fc.show_config()
        print(json.dumps(fc.show_config("dicts")))
        """
    *shown, config = in_new_process(script, tree).strip().split("\n")
    return json.loads(config), "\n".join(shown)


def test_no_compiler_is_said_in_words(tree):
    done = build(tree, "/nowhere/gcc")
    assert done.returncode
    assert "fastconv needs a C compiler" in done.stderr and "/nowhere/gcc" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@x86
def test_builds_without_openmp_or_wide_instruction_sets_and_then_with(tree, tmp_path):
    """One tree, three compilers one after the other: files of the earlier builds must not stay."""
    done = build(tree, refusing(tmp_path, "old-cc", "-fopenmp", "-mavx"))
    assert done.returncode == 0, done.stderr
    config, shown = config_of(tree)
    assert config["openmp"] is None and config["threads"] == 1
    assert config["isa"]["compiled"] == ["baseline"] and config["isa"]["missing"] == ["avx2", "avx512"]
    assert "not in this build: everything runs on one thread" in shown and "not in this build: avx2, avx512" in shown

    done = build(tree, refusing(tmp_path, "no-avx512-cc", "-mavx512"))
    assert done.returncode == 0, done.stderr
    config, _ = config_of(tree)
    assert config["openmp"] and config["isa"]["compiled"] == ["baseline", "avx2"]

    done = build(tree, refusing(tmp_path, "cc", "-march=native"))
    assert done.returncode == 0, done.stderr
    config, _ = config_of(tree)
    assert config["openmp"] and config["isa"]["missing"] == []
    assert not list((tree / "fastconv").rglob("*.c"))
