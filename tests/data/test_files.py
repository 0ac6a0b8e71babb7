"""IDX, CIFAR-10 and NumPy archives, written into a temporary folder and read back; every damage is reported."""

import gzip
import os
import struct
import tracemalloc
from importlib import resources

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (12, 5, 7), np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 10


def idx_bytes(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(
    folder, part="train", compressed=False, images_name="{}-images-idx3-ubyte", labels_name="{}-labels-idx1-ubyte"
):
    folder.mkdir(exist_ok=True, parents=True)
    pack, end = (gzip.compress, ".gz") if compressed else (bytes, "")
    (folder / (images_name.format(part) + end)).write_bytes(pack(idx_bytes(IMAGES)))
    (folder / (labels_name.format(part) + end)).write_bytes(pack(idx_bytes(LABELS)))
    return folder


def write(path, content):
    path.write_bytes(content)
    return path


# --- The bundled digits ---------------------------------------------------------------------------------------------


def test_digits():
    train, test = data.digits(), data.digits(split="test")
    assert train.images.shape == (4000, 1, 28, 28) and test.images.shape == (1000, 1, 28, 28)
    assert train.images.dtype == np.float32 and train.images.min() == 0 and train.images.max() == 1
    assert np.bincount(train.labels).tolist() == [400] * 10 and np.bincount(test.labels).tolist() == [100] * 10
    assert train.classes == test.classes == list("0123456789")
    assert not (set(map(bytes, train.images)) & set(map(bytes, test.images)))


def test_the_bundled_files_are_in_the_package():
    files = resources.files("fastconv.data")
    assert files.joinpath("mnist5k.npz").is_file()
    assert "LeCun" in files.joinpath("mnist5k.README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("split", "error"), [("val", ValueError), (0, TypeError)])
def test_an_unknown_split(tmp_path, split, error):
    for read in (data.digits, lambda split: data.mnist(tmp_path, split), lambda split: data.cifar10(tmp_path, split)):
        with pytest.raises(error, match=f"split must be .*'train', 'test', got {split!r}"):
            read(split)


# --- IDX ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_idx(tmp_path, pack):
    result = data.idx(write(tmp_path / "a", pack(idx_bytes(IMAGES))),
                      str(write(tmp_path / "b", pack(idx_bytes(LABELS)))))
    assert result.classes == list("0123456789")
    np.testing.assert_array_equal(result.images[:, 0], IMAGES / np.float32(255))
    np.testing.assert_array_equal(result.labels, LABELS)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dot", ["-", "."])
def test_mnist(tmp_path, compressed, dot):
    names = {"images_name": f"{{}}-images{dot}idx3-ubyte", "labels_name": f"{{}}-labels{dot}idx1-ubyte"}
    for part, split in (("train", "train"), ("t10k", "test")):
        write_mnist(tmp_path, part, compressed, **names)
        result = data.mnist(tmp_path, split)
        assert result.images.shape == (12, 1, 5, 7) and result.classes == list("0123456789")
        np.testing.assert_array_equal(result.labels, LABELS)


def test_mnist_without_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz"):
        data.mnist(tmp_path)
    write_mnist(tmp_path)
    with pytest.raises(FileNotFoundError, match="t10k-labels-idx1-ubyte"):
        data.mnist(tmp_path, "test")


def test_mnist_has_ten_classes(tmp_path):
    write_mnist(tmp_path)
    write(tmp_path / "train-labels-idx1-ubyte", idx_bytes(LABELS + 5))
    with pytest.raises(ValueError, match="train-labels-idx1-ubyte: a label 14, expected 0 to 9"):
        data.mnist(tmp_path)


def header(*sizes, magic=0x803):
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes)


GOOD = idx_bytes(IMAGES)
BAD_IDX = {
    "empty": (
        b"",
        r"starts with nothing \(it is empty\), "
        r"expected the magic number 0x00000803 \(IDX, unsigned bytes, 3 dimensions\)",
    ),
    "one byte": (b"\0", "starts with 0x00, expected"),
    "labels for images": (idx_bytes(LABELS), "starts with 0x00000801, expected the magic number 0x00000803"),
    "floats": (header(12, 5, 7, magic=0xD03) + bytes(12 * 5 * 7 * 4), "starts with 0x00000d03"),
    "little-endian": (struct.pack("<4I", 0x803, 12, 5, 7) + bytes(420), "starts with 0x03080000"),
    "a text": (b"<html>404", "starts with 0x3c68746d"),
    "half a header": (GOOD[:10], "10 bytes, expected a header of 16"),
    "no data": (GOOD[:16], "12 x 5 x 7 = 420 bytes of data"),
    "short by one": (GOOD[:-1], "12 x 5 x 7 = 420 bytes of data"),
    "long by one": (GOOD + b"\0", "420 bytes of data, found more"),
    "no images": (header(0, 28, 28), "0 x 28 x 28 bytes of data, expected no size of 0"),
    "no columns": (header(9, 28, 0), "9 x 28 x 0 bytes of data"),
    "beyond the file": (header(60000, 28, 28) + bytes(100), "60000 x 28 x 28 = 47040000 bytes of data"),
    "beyond 64 bits": (header(*[2**32 - 1] * 3) + bytes(100), "= 79228162458924105385300197375 bytes of data"),
    "64 bits overflow to 0": (header(2**31, 2**31, 4) + bytes(100), "= 18446744073709551616 bytes of data"),
    "a sign bit": (header(2**31, 1, 1) + bytes(100), "= 2147483648 bytes of data"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(("content", "match"), BAD_IDX.values(), ids=BAD_IDX)
def test_bad_idx(tmp_path, content, match, pack):
    labels = write(tmp_path / "labels", idx_bytes(LABELS))
    images = write(tmp_path / "the-images", pack(content))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="the-images: .*" + match):
            data.idx(images, labels)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20  # nothing was allocated for the sizes in the header


def test_damaged_gzip(tmp_path):
    labels, packed = write(tmp_path / "labels", idx_bytes(LABELS)), gzip.compress(GOOD)
    wrong_sum = packed[:-8] + bytes(4) + packed[-4:]
    for content in (packed[:-20], packed[:12], wrong_sum, packed[:200] + bytes(20) + packed[220:], packed[:2]):
        with pytest.raises(ValueError, match="images.gz: damaged gzip file"):
            data.idx(write(tmp_path / "images.gz", content), labels)


def test_one_label_for_each_image(tmp_path):
    images, labels = write(tmp_path / "images", GOOD), write(tmp_path / "labels", idx_bytes(LABELS[:-1]))
    with pytest.raises(ValueError, match="labels: 11 labels, but .*images holds 12 images"):
        data.idx(images, labels)


def test_a_missing_idx_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.idx(tmp_path / "none", tmp_path / "none")


# --- CIFAR-10 -------------------------------------------------------------------------------------------------------

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def cifar10_bytes(n, seed=0):
    records = np.random.default_rng(seed).integers(0, 256, (n, 3073), np.uint8)
    records[:, 0] %= 10
    return records.tobytes()


def write_cifar10(folder, batches=2):
    folder.mkdir(exist_ok=True, parents=True)
    for number in range(1, batches + 1):
        write(folder / f"data_batch_{number}.bin", cifar10_bytes(3 + number, number))
    write(folder / "test_batch.bin", cifar10_bytes(2))
    return folder


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-bin"])
def test_cifar10(tmp_path, inside):
    write_cifar10(tmp_path / inside, batches=11)
    train, test = data.cifar10(tmp_path), data.cifar10(tmp_path, "test")
    assert train.images.shape == (sum(range(4, 15)), 3, 32, 32) and train.classes == NAMES
    content = b"".join(cifar10_bytes(3 + number, number) for number in range(1, 12))
    records = np.frombuffer(content, np.uint8).reshape(-1, 3073)
    np.testing.assert_array_equal(train.labels, records[:, 0])
    np.testing.assert_array_equal(train.images.reshape(-1, 3072), records[:, 1:] / np.float32(255))
    # Red plane first, row by row.
    record = np.frombuffer(cifar10_bytes(2), np.uint8)[3073:]
    assert test.images[1, 2, 5, 9] == np.float32(record[1 + 2 * 1024 + 5 * 32 + 9]) / np.float32(255)


def test_cifar10_classes(tmp_path):
    write_cifar10(tmp_path)
    write(tmp_path / "batches.meta.txt", "\n".join("abcdefghij").encode() + b"\n\n")
    assert data.cifar10(tmp_path).classes == list("abcdefghij")
    write(tmp_path / "batches.meta.txt", b"a\nb\n")
    with pytest.raises(ValueError, match="batches.meta.txt: 2 names of classes, expected 10"):
        data.cifar10(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 3072, 3074, 3073 * 2 - 1])
def test_cifar10_of_partial_records(tmp_path, size):
    write_cifar10(tmp_path)
    write(tmp_path / "data_batch_2.bin", bytes(size))
    with pytest.raises(ValueError, match=f"data_batch_2.bin: {size} bytes, expected a multiple of 3073"):
        data.cifar10(tmp_path)


def test_cifar10_of_wrong_labels(tmp_path):
    write_cifar10(tmp_path)
    write(tmp_path / "test_batch.bin", bytes(3073) + b"\x0a" + bytes(3072))
    with pytest.raises(ValueError, match="test_batch.bin: label 10 in record 1, expected 0 to 9"):
        data.cifar10(tmp_path, "test")


def test_cifar10_without_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file data_batch_1.bin$"):
        data.cifar10(tmp_path)
    with pytest.raises(FileNotFoundError, match="test_batch.bin"):
        data.cifar10(tmp_path, "test")
    write(tmp_path / "data_batch_1", b"pickle")
    with pytest.raises(FileNotFoundError,
                       match="no file data_batch_1.bin; this is the pickled version .* get the binary one, https://"):
        data.cifar10(tmp_path)
    write_cifar10(tmp_path, batches=3)
    (tmp_path / "data_batch_2.bin").unlink()
    with pytest.raises(FileNotFoundError, match="no file data_batch_2.bin"):
        data.cifar10(tmp_path)


# --- NumPy archives -------------------------------------------------------------------------------------------------


def savez(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("X", "y")])
def test_npz(tmp_path, save, names):
    path = tmp_path / "a.npz"
    save(path, **dict(zip(names, (IMAGES, LABELS), strict=True)))
    result = data.npz(path)
    np.testing.assert_array_equal(result.images[:, 0], IMAGES / np.float32(255))
    np.testing.assert_array_equal(result.labels, LABELS)


@pytest.mark.parametrize("names", ["{}_images {}_labels", "x_{} y_{}", "X_{} y_{}"])
def test_npz_with_parts(tmp_path, names):
    arrays = {}
    for part, content in (("train", (IMAGES, LABELS)), ("test", (IMAGES[:3], LABELS[:3]))):
        arrays |= zip(names.replace("{}", part).split(), content, strict=True)
    path = savez(tmp_path / "a.npz", **arrays)
    assert len(data.npz(path, "train")) == 12
    test = data.npz(path, "test")
    assert len(test) == 3 and test.classes == list("0123456789")  # the classes of both parts
    with pytest.raises(ValueError, match="a.npz: arrays .*, expected images, labels or x, y"):
        data.npz(path)


def test_npz_with_classes(tmp_path):
    path = savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS, classes=np.array(list("abcdefghij")))
    assert data.npz(path).classes == list("abcdefghij")


@pytest.mark.parametrize(
    ("shape", "result"),
    [
        ((12, 5, 7, 3), (12, 3, 5, 7)),
        ((12, 3, 5, 7), (12, 3, 5, 7)),
        ((12, 5, 7, 1), (12, 1, 5, 7)),
        ((12, 3, 5, 3), (12, 3, 5, 3)),
    ],
)
def test_npz_channels(tmp_path, shape, result):
    images = GENERATOR.random(shape, np.float32)
    got = data.npz(savez(tmp_path / "a.npz", images=images, labels=LABELS)).images
    np.testing.assert_array_equal(got, images if shape == result else np.moveaxis(images, -1, 1))
    assert got.shape == result


class Harmful:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize(
    ("arrays", "error", "match"),
    [
        ({}, ValueError, r"arrays \(none\), expected images, labels"),
        ({"images": IMAGES}, ValueError, "arrays images, expected images, labels"),
        ({"images": IMAGES, "labels": LABELS[:4]}, ValueError, r"labels .*\(4,\)"),
        ({"images": IMAGES, "labels": LABELS / 2}, TypeError, "labels must .*float64"),
        ({"images": IMAGES.astype(int), "labels": LABELS}, TypeError, "images must .*int64"),
        ({"images": IMAGES[0], "labels": LABELS}, ValueError, r"images must .*\(5, 7\)"),
        (
            {"images": np.array([Harmful()] * 12), "labels": LABELS},
            ValueError,
            r"array images has dtype object, .*: write images\.astype\(np\.float32\), or np\.stack",
        ),
        ({"images": IMAGES, "labels": LABELS, "classes": [1, 2]}, ValueError, "classes is int64"),
        ({"images": IMAGES, "labels": LABELS, "classes": ["a", "b"]}, ValueError, "labels must .*9"),
    ],
)
def test_bad_npz(tmp_path, arrays, error, match):
    path = savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(error, match="bad.npz: .*" + match):
        data.npz(path)


def test_damaged_npz(tmp_path):
    content = savez(tmp_path / "good.npz", images=IMAGES, labels=LABELS).read_bytes()
    at = content.index(IMAGES.tobytes())
    damaged = [
        b"",
        b"\x93NUMPY",
        content[:1],
        content[:40],
        content[:-30],
        content[: at + 5] + b"\xff" * 9 + content[at + 14 :],
    ]
    for part in damaged:
        with pytest.raises(ValueError, match=r"bad\.npz: "):
            data.npz(write(tmp_path / "bad.npz", part))


def test_npz_that_promises_more_than_it_holds(tmp_path):
    content = savez(tmp_path / "good.npz", images=IMAGES, labels=LABELS).read_bytes()
    promise = content.replace(b"(12, 5, 7), }   ", b"(912, 5, 7), }  ", 1)
    assert promise != content
    with pytest.raises(ValueError, match="bad.npz: array images cannot be read"):
        data.npz(write(tmp_path / "bad.npz", promise))


def test_a_missing_npz(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.npz(tmp_path / "none.npz")


def test_an_unknown_npz_split(tmp_path):
    with pytest.raises(ValueError, match="split must be one of 'train', 'test', None, got 'all'"):
        data.npz(savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS), "all")


@pytest.mark.parametrize(
    ("name", "array", "written"),
    [
        ("labels", np.array([0, 1] * 6, object), "labels.astype(np.int64)"),
        ("labels", np.array(["cat", "dog"] * 6, object), "np.unique(labels.astype(str), return_inverse=True)[1]"),
        ("images", np.array(IMAGES, object), "images.astype(np.float32)"),
        ("images", "ragged", "np.stack(list(images))"),
        ("classes", np.array(list("abcdefghij"), object), "classes.astype(str)"),
    ],
    ids=["numbers", "names", "pixels", "arrays", "classes"],
)
def test_npz_of_objects_says_what_to_write(tmp_path, name, array, written):
    if isinstance(array, str):
        array = np.empty(12, object)
        array[:] = list(IMAGES)
    arrays = {"images": IMAGES, "labels": LABELS, "classes": np.array(list("abcdefghij")), name: array}
    with pytest.raises(ValueError, match=f"bad.npz: array {name} has dtype object, and is a pickle") as caught:
        data.npz(savez(tmp_path / "bad.npz", **arrays))
    assert written in str(caught.value)
    arrays[name] = eval(written, {"np": np, name: array})
    assert len(data.npz(savez(tmp_path / "good.npz", **arrays))) == 12


@pytest.mark.parametrize(("names", "part"),
                         [("x_train y_train x_test y_test", "test"), ("X_train y_train X_test y_test", "train")])
def test_npz_of_objects_in_parts(tmp_path, names, part):
    arrays = dict(zip(names.split(), (IMAGES, LABELS, IMAGES, LABELS), strict=True))
    arrays[f"y_{part}"] = arrays[f"y_{part}"].astype(object)
    with pytest.raises(ValueError, match=rf"array y_{part} has dtype object, .*write y_{part}\.astype\(np\.int64\)"):
        data.npz(savez(tmp_path / "bad.npz", **arrays), part)


def test_npz_with_an_empty_part(tmp_path):
    arrays = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:0], "y_test": np.array([])}
    path = savez(tmp_path / "a.npz", **arrays)
    test = data.npz(path, "test")
    assert len(test) == 0 and test.classes == data.npz(path, "train").classes == list("0123456789")
    assert len(data.load(path, "all")) == 12


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4])
def test_npz_of_few_images(tmp_path, count):
    path = savez(tmp_path / "few.npz", images=IMAGES[:count], labels=LABELS[:count])
    assert len(data.load(path, "all")) == len(data.npz(path)) == count
    if count >= 3:
        assert len(data.load(path, "train")) + len(data.load(path, "test")) == count
        return
    for part in ("train", "test"):
        with pytest.raises(ValueError,
                           match=rf"few.npz: holds {count} images?, which cannot be divided .*: at least 3 are needed"):
            data.load(path, part)


@pytest.mark.parametrize("dtype", [np.float64, np.longdouble])
@pytest.mark.parametrize("value", [1e300, -1e39])
def test_values_beyond_float32(tmp_path, dtype, value):
    images = GENERATOR.random((12, 5, 7)).astype(dtype)
    images[3, 2, 1] = value
    for read in (lambda: data.ArrayDataset(images, LABELS),
                 lambda: data.npz(savez(tmp_path / "a.npz", images=images, labels=LABELS))):
        with pytest.raises(ValueError,
                           match=r"images must be within float32, .*: write images / np\.abs\(images\)\.max\(\)"):
            read()
    mended = data.ArrayDataset(images / np.abs(images).max(), LABELS)
    assert np.isfinite(mended.images).all() and np.abs(mended.images).max() == 1


@pytest.mark.parametrize("value", [1e30, np.inf, -np.inf, np.nan])
def test_values_that_float32_has_are_read_as_they_are(tmp_path, value):
    images = GENERATOR.random((12, 5, 7))
    images[3, 2, 1] = value
    for dtype in (np.float32, np.float64):
        read = data.npz(savez(tmp_path / "a.npz", images=images.astype(dtype), labels=LABELS))
        np.testing.assert_array_equal(read.images[:, 0], images.astype(np.float32))


def test_a_model_is_no_data_set(tmp_path):
    fc.save(nn.models.lenet5(), tmp_path / "m.npz")
    with pytest.raises(ValueError, match=r"m.npz: arrays 0.weight, .*, \.\.\., expected images, labels .*; "
                                         "it is a model or a checkpoint"):
        data.npz(tmp_path / "m.npz")


# --- Folders that are none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [data.cifar10, data.mnist, data.image_folder])
def test_a_folder_that_is_missing_or_a_file(tmp_path, monkeypatch, read):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("text")
    holding = {"cifar10": "CIFAR-10's binary files", "mnist": "MNIST's IDX files",
               "image_folder": "a folder of images for each class"}
    options = [{}] if read is data.image_folder else [{}, {"split": "test"}]
    for split in options:
        with pytest.raises(FileNotFoundError,
                           match=f"^x: no such directory, expected a directory with {holding[read.__name__]}"):
            read("x", **split)
        with pytest.raises(NotADirectoryError, match="^file: a file, expected a directory with "):
            read(tmp_path.joinpath("file").relative_to(tmp_path), **split)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_among_the_files_of_cifar10(tmp_path):
    for name in ("pipe", "data_batch_1.bin", "test_batch.bin", "batches.meta.txt"):
        os.mkfifo(tmp_path / name)
    for split in ("train", "test"):
        with pytest.raises(ValueError, match="_batch.*bin: a named pipe, a socket or a device"):
            data.cifar10(tmp_path, split)
        for read in (data.cifar10, data.mnist):
            with pytest.raises(ValueError, match="pipe: a named pipe, a socket or a device"):
                read(tmp_path / "pipe", split)
