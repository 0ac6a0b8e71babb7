"""The rules of the house, read from the source tree: who may import whom, how long a file may be,
which flags are banned."""

import ast
import importlib
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fastconv"

pytestmark = pytest.mark.skipif(not (ROOT / "src_c").is_dir(),
                                reason="these rules are about the source tree, which is not here")

# A unit is a folder or a file directly in fastconv/. It may import units of lower floors only. What builds the public
# namespace (fastconv/__init__.py, __main__.py) stands above all.
FLOORS = {"_interrupt": 0, "_core": 1, "config": 2, "functional": 2, "data": 3, "nn": 3, "optim": 3, "walk": 4,
          "plots": 5, "training": 6, "adapters": 7, "c_api": 7, "lecture": 7, "scale": 7,
          "cli": 8}
TOP = max(FLOORS.values()) + 1
LONGEST = 500  # lines of a file
MOST_PARAMETERS = 8  # of a function of the engine room


def sources(*patterns):
    return sorted(path for pattern in patterns for path in PACKAGE.rglob(pattern) if "build" not in path.parts)


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path) for path in sources("*.py", "*.pyx", "*.pxd")}


def imports(path):
    """The modules of fastconv that a file imports, wherever in the file."""
    text = path.read_text()
    if path.suffix == ".py":
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, (ast.Import, ast.ImportFrom))]
        assert not any(isinstance(node, ast.ImportFrom) and node.level for node in nodes), f"{path}: a relative import"
        found = [(alias.name, []) for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        found += [(node.module, [alias.name for alias in node.names])
                  for node in nodes if isinstance(node, ast.ImportFrom)]
    else:
        found = [(name, []) for name in re.findall(r"^\s*c?import ([\w.]+)", text, re.M)]
        for name, inside, bare in re.findall(r"^\s*from ([\w.]+) c?import (?:\(([^)]*)\)|(.*))", text, re.M):
            found.append((name, [word.split()[0] for word in (inside or bare).split(",") if word.strip()]))
    for name, names in found:
        if name.split(".")[0] == "fastconv":
            submodules = [f"{name}.{one}" for one in names if f"{name}.{one}" in MODULES]
            yield from submodules or [name]


def unit(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_every_unit_has_a_floor():
    units = {unit(module) for module in MODULES} - {"", "__main__"}
    assert units <= set(FLOORS), "give it a floor in this test, and in CONTRIBUTING.md"


@pytest.mark.parametrize("path", sources("*.py", "*.pyx", "*.pxd"), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_import_reaches_up_or_sideways(path):
    own = unit(module_name(path))
    for target in imports(path):
        if own and unit(target) != own:
            assert FLOORS.get(unit(target), TOP) < FLOORS.get(own, TOP), f"{path.relative_to(ROOT)} imports {target}"


def test_no_circle_of_imports():
    graph = {}
    for path in sources("*.py", "*.pyx", "*.pxd"):
        name = module_name(path)
        graph.setdefault(name, set()).update(set(imports(path)) - {name})
    finished, walk = set(), []

    def visit(module):
        assert module not in walk, " -> ".join([*walk[walk.index(module):], module])
        if module not in finished:
            walk.append(module)
            for target in sorted(graph.get(module, ())):
                visit(target)
            finished.add(walk.pop())

    for module in sorted(graph):
        visit(module)


def calls(text, name):
    """The text of each call of a function, up to the closing parenthesis."""
    for match in re.finditer(rf"\b{name}\(", text):
        depth, end = 1, match.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield text[match.start():end]


def test_every_parallel_loop_says_how_many_threads():
    """Without num_threads a loop wakes every core, whatever the user has set."""
    found = 0
    for path in sources("*.pyx", "*.pxd"):
        for call in [*calls(path.read_text(), "prange"), *calls(path.read_text(), "parallel")]:
            found += 1
            assert "num_threads=" in call, f"{path.relative_to(ROOT)}: {call}"
    assert found


def test_no_driver_takes_none_for_a_convolution():
    """Its record would be read from nowhere."""
    doors = [(path, line) for path in sources("*.pyx") for line in path.read_text().splitlines()
             if re.match(r"(def|cpdef) .*\bConvolution \w+", line)]
    assert len(doors) > 20
    for path, line in doors:
        for argument in re.findall(r"\bConvolution \w+(?: not None)?", line):
            assert argument.endswith(" not None"), f"{path.relative_to(ROOT)}: {line}"


def code_files():
    return [*sources("*.py", "*.pyx", "*.pxd", "*.pyi"), *sorted((ROOT / "src_c").glob("*.[ch]")), ROOT / "setup.py",
            ROOT / "src_c/declarations.py",
            *sorted(path for folder in ("tests", "benchmarks", "examples", "docs")
                    for path in (ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", code_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_too_long(path):
    """But for what declarations.py writes, which nobody reads, and the repository does not hold."""
    text = path.read_text()
    lines = 0 if text.startswith("# Written by declarations.py") else text.count("\n")
    assert lines <= LONGEST, f"{lines} lines: split it by subject"


def engine_room(*patterns):
    return [path for path in (*sources("*.py", "*.pyx", "*.pxd"), *sorted((ROOT / "src_c").glob("*.[ch]")))
            if path.suffix in patterns and (path.parent.name == "src_c" or "_core" in path.parts)]


def parameters(text):
    """How many parameters there are between the parentheses of a signature."""
    depth, count, some = 0, 1, False
    for character in text:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(character, 0)
        count += character == "," and depth == 0
        some = some or not character.isspace()
    return count - bool(re.search(r"(^|,)\s*[*/]\s*(,|$)", text)) - bool(re.search(r",\s*$", text)) if some else 0


INSIDE = r"\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)"


def signatures(path):
    """The functions, and the pointers to functions, that a file defines: name, parameters."""
    text = path.read_text()
    if path.suffix in (".c", ".h"):
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S).replace("\\\n", "\n")
        yield from re.findall(r"^(?:\w[\w *]*)(?:\b|\*)[^;{}()=]*?\b(?:NAME\()?(\w+)\)?" + INSIDE
                              + r"\s*\{", text, re.M)
        yield from re.findall(r"\(\*(\w+)(?:\[[^\]]*\])*\)" + INSIDE + ";", text)
    else:
        yield from re.findall(r"^\s*(?:cdef|cpdef|def)\b[^\n(=]*?\b(\w+)" + INSIDE + r"[^\n]*:", text, re.M)


def test_signatures_are_found():
    names = {name for path in engine_room(".py", ".pyx", ".pxd", ".h", ".c") for name, _ in signatures(path)}
    assert {"conv2d", "in_parallel", "ceildiv", "channel_tile", "gemm_tile", "fc_isa_table", "lay_out"} <= names
    assert len(names) > 400
    assert (parameters("a, b[1, 2], *, c=(1, 2)") == 3 and parameters(" ") == 0
            and parameters("T *a, void (*f)(int, int)") == 2)


@pytest.mark.parametrize("path", engine_room(".py", ".pyx", ".pxd", ".h", ".c"),
                         ids=lambda path: str(path.relative_to(ROOT)))
def test_no_function_has_too_many_parameters(path):
    """What belongs together travels together: a problem, a layout, a block."""
    found = {name: parameters(text) for name, text in signatures(path)}
    assert {name: count for name, count in found.items() if count > MOST_PARAMETERS} == {}


def test_a_struct_has_a_name_of_its_own():
    defined = {}
    for path in engine_room(".py", ".pyx", ".pxd", ".h"):
        for name in re.findall(r"^(?:cdef struct|cdef class|class) (\w+)|^\} (fc_\w+);", path.read_text(), re.M):
            defined.setdefault("".join(name), set()).add(path.with_suffix(""))
    assert {name: paths for name, paths in defined.items() if len(paths) > 1} == {}


@pytest.mark.parametrize(("cost", "layout", "names"), [
    ("product/cost.py", "product/layout.pyx", {"FEW_FILTERS"}),
    ("product/gradient_cost.py", "product/layout.pyx",
     {"GRADIENT_PIXELS", "PACKED_BYTES", "MOST_CHUNKS", "PARTIAL_BYTES"}),
    ("direct/gradient_cost.py", "direct/gradient_layout.pyx",
     {"BLOCK_BYTES", "FEWEST_PIXELS", "MOST_PIXELS", "MOST_CHUNKS", "CHUNK_PIXELS", "PARTIAL_BYTES"}),
    ("winograd/gradient_cost.py", "winograd/gradient_layout.pyx",
     {"CHUNK_TILES", "MOST_CHUNKS", "TOTALS_BYTES", "CHUNK_BYTES", "KEPT_BYTES", "FAR_BYTES"}),
    ("winograd/data_gradient_cost.py", "winograd/data_gradient.pyx",
     {"FILTERS_BYTES", "COPY_BYTES", "NEAR_BYTES", "FAR_BYTES", "LARGE_BYTES"}),
    ("direct/data_gradient_cost.py", "direct/phased_layout.pyx",
     {"PIXELS", "INPUT_BYTES", "COPIES_BYTES", "FILTERS_BYTES", "OUTPUT_BYTES"}),
    ("depthwise/cost.py", "depthwise/layout.pyx", {"TILE_ROWS"}),
])
def test_costs_count_what_the_layouts_lay_out(cost, layout, names):
    """The planner's counts follow from the same sizes as the driver's loops,
    where it does not ask the layout itself."""
    module = vars(importlib.import_module("fastconv._core." + cost.removesuffix(".py").replace("/", ".")))
    found = dict(re.findall(r"^    (\w+) = ([\d <]+)", (PACKAGE / "_core" / layout).read_text(), re.M))
    assert {name: module[name] for name in names} == {name: eval(found[name]) for name in names}


def test_the_table_names_every_kernel():
    """What is not named there is NULL; Cython has its declarations from the header."""
    struct = re.search(r"fc_winograd_##NAME;(.*)\} fc_kernels_##NAME;",
                       (ROOT / "src_c" / "kernels.h").read_text(), re.S).group(1)
    declared = re.findall(r"\(\*(\w+)[\[)]", re.sub(r"/\*.*?\*/", "", struct, flags=re.S))
    named = re.findall(r"^    \.(\w+) =", (ROOT / "src_c" / "precision.h").read_text(), re.M)
    assert len(declared) > 50 and set(declared) <= set(named)


def test_no_flag_that_changes_results_or_binds_a_build_to_one_machine():
    banned = re.compile(r"-march=|-mtune=native|-mcpu=|-ffast-math|-Ofast|-funsafe-math|fast-math|optimize\(|GCC "
                        "target")
    for path in [*sources("*.pyx", "*.pxd"), *(ROOT / "src_c").glob("*.[ch]"), ROOT / "setup.py",
                 ROOT / "pyproject.toml"]:
        assert not banned.search(path.read_text()), path.relative_to(ROOT)


def test_nothing_generated_is_committed():
    git = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if git.returncode:
        pytest.skip("not a git checkout")
    generated = re.compile(r"\.(so|o|pyd|pyc|whl|egg-info)$|^build/|^dist/|^fastconv/_core/.*\.(c|html)$")
    assert not [name for name in git.stdout.splitlines() if generated.search(name)]
