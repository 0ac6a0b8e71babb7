"""`load`: each kind of source is recognised, divided the same way each time, and an unknown one explained."""

import gzip
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest

from fastconv import data

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 4, 6), np.uint8)
LABELS = np.arange(50) % 5


def same(one, two):
    return (np.array_equal(one.images, two.images) and np.array_equal(one.labels, two.labels)
            and one.classes == two.classes)


def write_mnist(folder, part):
    (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 0x803, *IMAGES.shape) + IMAGES.tobytes())
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 50)
                                                       + LABELS.astype(np.uint8).tobytes())


def write_folders(root, names, count=10):
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for i in range(count):
            np.save(root / name / f"{i}.npy", IMAGES[number * count + i])


def test_digits():
    for split in ("train", "test"):
        assert same(data.load("digits", split), data.digits(split))
    both = data.load("digits", "all")
    assert len(both) == 5000 and same(both[4000:], data.digits("test"))


def test_mnist(tmp_path):
    write_mnist(tmp_path, "train")
    assert same(data.load(tmp_path), data.mnist(tmp_path))
    with pytest.raises(FileNotFoundError, match="t10k-labels"):
        data.load(tmp_path, "test")
    write_mnist(tmp_path, "t10k")
    assert len(data.load(str(tmp_path), "all")) == 100


@pytest.mark.parametrize("inside", ["MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "raw", "mnist", "gzip"])
@pytest.mark.parametrize("compressed", [False, True])
def test_the_root_that_torchvision_was_given(tmp_path, inside, compressed):
    folder = tmp_path / inside
    folder.mkdir(parents=True)
    for part in ("train", "t10k"):
        write_mnist(folder, part)
    (tmp_path / "CIFAR").mkdir()  # another set beside it
    (tmp_path / "notes.txt").write_text("")
    if compressed:
        for path in folder.iterdir():
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    want = data.mnist(folder)
    for source in {tmp_path, folder, folder.parent} - {tmp_path.parent}:
        assert same(data.load(source), want) and same(data.mnist(source), want)
        assert len(data.load(source, "all")) == 100


def test_several_sets_in_a_root_are_named(tmp_path):
    for name in ("MNIST", "FashionMNIST"):
        (tmp_path / name / "raw").mkdir(parents=True)
        write_mnist(tmp_path / name / "raw", "train")
    with pytest.raises(ValueError, match="holds 2 data sets, name one of .*FashionMNIST/raw, .*MNIST/raw"):
        data.load(tmp_path)
    assert len(data.load(tmp_path / "MNIST")) == 50


@pytest.mark.parametrize("inside", ["EMNIST/raw", "gzip", ""])
def test_emnist(tmp_path, inside):
    """Several sets in a folder, which hold their images turned and mirrored; letters begin with label 1."""
    folder = tmp_path / inside
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("letters", 26), ("balanced", 47), ("digits", 10)):
        labels = np.arange(50, dtype=np.uint8) % count + (name == "letters")
        for part in ("train", "test"):
            pixels, stem = IMAGES.swapaxes(1, 2), folder / f"emnist-{name}-{part}"
            content = struct.pack(">4I", 0x803, *pixels.shape) + pixels.tobytes()
            stem.with_name(f"{stem.name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
            content = struct.pack(">2I", 0x801, 50) + labels.tobytes()
            stem.with_name(f"{stem.name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(content))
    with pytest.raises(ValueError,
                       match="holds 3 data sets, name one of .*emnist-balanced, .*emnist-digits, .*emnist-letters"):
        data.load(tmp_path)
    for name, first, count in (("letters", "a", 27), ("balanced", "1", 47), ("digits", "1", 10)):
        for split in ("train", "test"):
            found = data.load(folder / f"emnist-{name}", split)
            assert len(found.classes) == count and found.classes[1] == first
            np.testing.assert_array_equal(found.images[:, 0], IMAGES / np.float32(255))
    assert data.load(folder / "emnist-letters").classes[int(found.labels[0]) + 26] == "z"
    with pytest.raises(FileNotFoundError, match="no such file"):
        data.load(folder / "emnist-byclass")


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-bin"])
def test_cifar10(tmp_path, inside):
    folder = tmp_path / inside
    folder.mkdir(exist_ok=True)
    (folder / "data_batch_1.bin").write_bytes(bytes(3 * 3073))
    (folder / "test_batch.bin").write_bytes(bytes(3073))
    assert (len(data.load(tmp_path)) == 3 and len(data.load(tmp_path, "test")) == 1
            and len(data.load(tmp_path, "all")) == 4)


def test_npz_with_parts(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:8], y_test=LABELS[:8])
    assert same(data.load(path), data.npz(path, "train")) and same(data.load(path, "test"), data.npz(path, "test"))
    assert len(data.load(path, "all")) == 58


def test_npz_with_one_part_only(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, x_train=IMAGES, y_train=LABELS)
    assert len(data.load(path)) == 50
    for split in ("test", "all"):
        with pytest.raises(ValueError, match=r"a\.npz: holds no part 'test'"):
            data.load(path, split)


def test_a_source_without_parts_is_divided(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=IMAGES, labels=LABELS)
    train, test, both = (data.load(path, split) for split in ("train", "test", "all"))
    assert same(both, data.npz(path)) and same(train, data.load(path))
    assert np.bincount(train.labels).tolist() == [8] * 5 and np.bincount(test.labels).tolist() == [2] * 5
    assert sorted(map(bytes, [*train.images, *test.images])) == sorted(map(bytes, both.images))


def test_class_folders(tmp_path):
    write_folders(tmp_path, ["a", "b"])
    assert same(data.load(tmp_path, "all"), data.image_folder(tmp_path))
    assert len(data.load(tmp_path)) == 16 and len(data.load(tmp_path, "test")) == 4


def test_class_folders_options(tmp_path):
    pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    write_folders(tmp_path, ["a", "b"])
    assert data.load(tmp_path, size=8, channels=3).images.shape == (16, 3, 8, 8)


@pytest.mark.parametrize("name", ["test", "val", "valid", "validation"])
def test_class_folders_with_parts(tmp_path, name):
    write_folders(tmp_path / "train", ["a", "b", "c"])
    write_folders(tmp_path / name, ["c"])
    assert len(data.load(tmp_path)) == 30
    test = data.load(tmp_path, "test")
    assert test.classes == ["a", "b", "c"] and set(test.labels.tolist()) == {2}
    assert len(data.load(tmp_path, "all")) == 40


def test_a_test_class_that_training_does_not_have(tmp_path):
    write_folders(tmp_path / "train", ["a", "b"])
    write_folders(tmp_path / "test", ["a", "d"])
    with pytest.raises(ValueError, match="d: not one of the classes a, b"):
        data.load(tmp_path, "test")


def test_classes_of_a_model(tmp_path):
    path, folders = tmp_path / "a.npz", tmp_path / "folders"
    np.savez(path, images=IMAGES, labels=LABELS)
    write_folders(folders, ["b"])
    names = ["a", "b", "c", "d", "e", "f"]
    assert data.load(path, classes=names).classes == names
    result = data.load(folders, "all", classes=names)
    assert result.classes == names and set(result.labels.tolist()) == {1}
    with pytest.raises(ValueError, match=r"a\.npz: labels must .*4"):
        data.load(path, classes=names[:4])
    np.savez(path, images=IMAGES, labels=LABELS, classes=["v", "w", "x", "y", "z"])
    with pytest.raises(ValueError, match=r"a\.npz: classes v, w, x, y, z, expected a, b"):
        data.load(path, classes=names)
    with pytest.raises(TypeError, match="classes must be .*'abc'"):
        data.load(path, classes="abc")


@pytest.mark.parametrize(
    ("source", "error", "match"),
    [
        (
            "digit",
            FileNotFoundError,
            r"digit: no such file or directory \(did you mean 'digits'\?\); a data set is 'digits'",
        ),
        ("no/where", FileNotFoundError, "no/where: no such file or directory; a data set is"),
        ("a.txt", ValueError, "a.txt: not a data set, expected 'digits'"),
        ("empty", ValueError, "empty: no data set in this directory, expected"),
        ("cifar-10-batches-py", ValueError, "no data set in this directory.*; this is the pickled version of CIFAR"),
        ("cifar", ValueError, "no data set in this directory.*; this is the pickled version of CIFAR"),
        ("cifar-10-batches-py/data_batch_1", ValueError,
         "data_batch_1: not a data set.*the pickled version of CIFAR.*np.savez"),
        ("a.pkl", ValueError,
         "a.pkl: not a data set.*; a pickle can run code and is not read: load it yourself, then np.savez"),
        ("a.npy", ValueError, r"a.npy: not a data set.*; one array has no labels: write both with np.savez\("),
        ("array.npz", ValueError,
         "array.npz: starts with 0x934e554d, .*; one array has no labels: write both with np.savez"),
        ("a.pt", ValueError, r"a.pt: not a data set.*; with tensors of torch.load: np.savez\(.*images.numpy\(\)"),
        ("a.safetensors", ValueError,
         "a.safetensors: not a data set.*; with tensors of safetensors.torch.load_file: np.savez"),
        ("a.mat", ValueError,
         "a.mat: not a data set.*; read the arrays with the library of this format, then np.savez"),
        ("a.tar.gz", ValueError, "a.tar.gz: not a data set.*; unpack it, then name the folder"),
        ("a.PNG", ValueError, "a.PNG: not a data set.*; an image is named to fastconv predict"),
        ("a.npz", ValueError, r"a\.npz: starts with 0x74657874, expected a NumPy archive"),
        ("", ValueError, r"source must be a name or a path, got '' \(write '\.' for the current folder\)"),
        (5, TypeError, "source must be a name or a path, got 5"),
        (None, TypeError, "source must .*None"),
    ],
)
def test_unknown_sources(tmp_path, monkeypatch, source, error, match):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("a.txt", "a.npz", "a.pt", "a.safetensors", "a.mat", "a.tar.gz", "a.PNG"):
        (tmp_path / name).write_text("text")
    for folder in ("cifar-10-batches-py", "cifar/cifar-10-batches-py"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("data_batch_1", "batches.meta"):
            (tmp_path / folder / name).write_bytes(pickle.dumps({}, 2))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({}, 4))
    np.save(tmp_path / "a.npy", IMAGES)
    (tmp_path / "array.npz").write_bytes((tmp_path / "a.npy").read_bytes())
    with pytest.raises(error, match=match):
        data.load(source)


@pytest.mark.parametrize(("option", "value"), [("size", 28), ("channels", 1)])
def test_options_of_folders_elsewhere(option, value):
    with pytest.raises(ValueError, match=f"{option} is for folders of images only, got {value} with digits"):
        data.load("digits", **{option: value})


def test_an_unknown_split():
    with pytest.raises(ValueError, match="split must be one of 'train', 'validation', 'test', 'all', got 'val'"):
        data.load("digits", "val")


def test_the_import_is_light():
    """No Pillow, no archive module and no data until they are used."""
    code = (
        "import sys, fastconv.data; "
        "print([m for m in ('PIL', 'gzip', 'zipfile', 'difflib', 'scipy') if m in sys.modules])"
    )
    before = "import sys, numpy; print([m for m in ('PIL', 'gzip', 'zipfile', 'difflib', 'scipy') if m in sys.modules])"
    run = [
        subprocess.run([sys.executable, "-c", c], capture_output=True, text=True, check=True).stdout
        for c in (before, code)
    ]
    assert run[0] == run[1]
