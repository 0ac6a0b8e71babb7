"""Folders of parts and of classes: told apart by their names, wherever they lie, or refused by name."""

import numpy as np
import pytest

from fastconv import data


def write(root, *folders, count=5):
    for number, folder in enumerate(folders):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for position in range(count):
            np.save(root / folder / f"{position}.npy", np.full((4, 6), number * count + position, np.uint8))


NAMES = [("training", "testing"), ("Train", "Test"), ("TRAIN", "VAL"), ("trn", "tst"), ("train", "test1"),
         ("train", "dev"), ("train_set", "test_set"), ("TrainingSet", "ValidationSet"),
         ("training_data", "validation_data"), ("train2017", "val2017"), ("train-images", "test-images"),
         ("images_train", "images_test"), ("seg_train", "seg_test"), ("Training", "Evaluation"), ("train", "holdout"),
         ("mnist_train", "mnist_val"), ("01_train", "02_test"), ("tRAIN", "tEST"), ("tRaIn", "tEsT"),
         ("tRAIN_set", "vALID")]  # fmt: skip


@pytest.mark.parametrize("inside", ["", "data", "data/images"])
@pytest.mark.parametrize(("train", "test"), NAMES)
def test_parts(tmp_path, train, test, inside):
    root = tmp_path / "root"
    write(root / inside / train, "ant", "bee", "cat")
    write(root / inside / test, "ant", "cat", count=2)
    (root / "__MACOSX" / "data").mkdir(parents=True)
    (root / inside / "labels").mkdir()  # no image in it
    (root / inside / "labels" / "list.csv").write_text("")
    assert [len(data.load(root, split)) for split in ("train", "test", "all")] == [15, 4, 19]
    found = data.load(root, "test")
    assert found.classes == ["ant", "bee", "cat"] and set(found.labels.tolist()) == {0, 2}


def test_parts_within_folders_of_their_own_name(tmp_path):
    for part in ("seg_train", "seg_test"):
        write(tmp_path / part / part, "forest", "sea")
    assert data.load(tmp_path, "all").classes == ["forest", "sea"]


NESTED = [("training_set/training_set", "test_set/test_set"), ("train/train", "test/test"), ("train/train", "val/val"),
          ("Training/train", "Testing/test"), ("train/x/train", "test/x/test"), ("train/x/train", "test"),
          ("data/train/train", "data/test/test"), ("train/train/train/train", "test/x/y/TestSet"),
          ("train/images/trn", "test/images"), ("train/seg_train", "test/seg_test")]  # fmt: skip


@pytest.mark.parametrize(("train", "test"), NESTED)
def test_parts_in_folders_that_are_called_as_the_part_too(tmp_path, train, test):
    write(tmp_path / train, "ant", "bee", "cat")
    write(tmp_path / test, "ant", "cat", count=2)
    (tmp_path / train / ".." / "labels").mkdir()  # no image in it
    assert [len(data.load(tmp_path, split)) for split in ("train", "test", "all")] == [15, 4, 19]
    assert data.load(tmp_path, "test").classes == ["ant", "bee", "cat"]


@pytest.mark.parametrize("name", ["train/train", "training_set/training_set", "Training/train", "train/x/train",
                                  "data/train/train", "train/train/train"])  # fmt: skip
def test_a_lone_training_part_in_a_folder_that_is_called_so_too(tmp_path, name):
    write(tmp_path / name, "ant", "bee")
    assert [len(data.load(tmp_path, split)) for split in ("train", "test", "all")] == [8, 2, 10]
    assert data.load(tmp_path).classes == ["ant", "bee"]


@pytest.mark.parametrize(("folders", "match"), [
    (["train/test/ant", "train/test/bee"], "train is in the train part of a data set, but test/ in it is called as"),
    (["train/ant", "train/bee", "test/val/ant"], "test is in the test part of a data set, but val/ in it is called as"),
    (["train/train/ant", "train/train/bee", "train/extra"],
     "train is in the train part of a data set, but train/ in it is called as a part too, extra/ beside it not"),
    (["train/train/ant", "train/test/ant", "test/ant"], "train part of a data set, but test/, train/ in it are called"),
])  # fmt: skip
def test_parts_within_another_part_are_refused_by_name(tmp_path, folders, match):
    write(tmp_path, *folders)
    with pytest.raises(ValueError, match=match):
        data.load(tmp_path, "all")


def test_a_class_of_a_part_may_be_called_as_the_part(tmp_path):
    write(tmp_path, "train/train", "test/train")  # with images in it
    assert data.load(tmp_path, "train").classes == ["train"]
    write(tmp_path / "known", "train/train/old", "train/train/new", "train/bus")
    assert data.load(tmp_path / "known", "all", classes=["bus", "train"]).classes == ["bus", "train"]


@pytest.mark.parametrize("name", ["train", "Training", "TRN", "data/train_set"])
def test_a_lone_training_part_is_divided(tmp_path, name):
    write(tmp_path / name, "ant", "bee")
    assert [len(data.load(tmp_path, split)) for split in ("train", "test", "all")] == [8, 2, 10]
    assert data.load(tmp_path).classes == ["ant", "bee"]


def test_a_lone_test_part(tmp_path):
    write(tmp_path / "Test", "ant", "bee")
    assert len(data.load(tmp_path, "test")) == 10
    for split in ("train", "all"):
        with pytest.raises(ValueError, match="holds no part 'train', only 'test'"):
            data.load(tmp_path, split)


def test_parts_without_a_training_part_are_not_all(tmp_path):
    """Neither is one of them taken for the whole."""
    for name in ("dev", "eval"):
        write(tmp_path / "both" / name, "ant", "bee")
    write(tmp_path / "one" / "valid", "ant", "bee")
    assert len(data.load(tmp_path / "both", "validation")) == len(data.load(tmp_path / "both", "test")) == 10
    assert len(data.load(tmp_path / "one", "test")) == 10
    for folder, held in (("both", "'validation' and 'test'"), ("one", "'validation'")):
        with pytest.raises(ValueError, match=f"holds no part 'train', only {held}"):
            data.load(tmp_path / folder, "all")


def test_three_parts(tmp_path):
    for name, count in (("train", 5), ("Val", 3), ("TEST", 2)):
        write(tmp_path / name, "ant", "bee", count=count)
    assert [len(data.load(tmp_path, split)) for split in ("train", "validation", "test", "all")] == [10, 6, 4, 20]


@pytest.mark.parametrize("name", ["test", "val"])
def test_a_part_that_is_test_and_validation(tmp_path, name):
    write(tmp_path / "train", "ant", "bee")
    write(tmp_path / name, "ant", "bee", count=2)
    assert len(data.load(tmp_path, "test")) == len(data.load(tmp_path, "validation")) == 4
    assert len(data.load(tmp_path, "all")) == 14


def test_no_validation_part(tmp_path):
    write(tmp_path, "ant", "bee")
    with pytest.raises(ValueError, match="holds no part 'validation', it has no parts"):
        data.load(tmp_path, "validation")
    with pytest.raises(FileNotFoundError):
        data.load("nowhere", "validation")
    assert len(data.load("digits", "validation")) == 1000


MIXED = {
    "an unknown folder beside train": (["train/ant", "extra/ant"],
                                       "train/ is called as a part of a data set, extra/ beside it"),
    "three": (["train/ant", "test/ant", "papers"],
              r"test/, train/ are called as a part of a data set, papers/ beside it not"),
    "test among classes": (["cat", "dog", "test"], "test/ is called as a part of a data set, cat/, dog/ beside it not"),
    "Validation among classes": (["cat", "dog", "Validation/cat"], "Validation/ is called as"),
    "train with folders among classes": (["cat", "dog", "train/cat"], "train/ is called as"),
    "two training parts": (["train/ant", "Training/ant"], "Training/, train/ are both called as the train part"),
    "two numbers": (["train/ant", "test1/ant", "test2/ant"], "test1/, test2/ are both called as the test part"),
}


@pytest.mark.parametrize(("folders", "match"), MIXED.values(), ids=MIXED)
def test_mixtures_are_refused_by_name(tmp_path, folders, match):
    write(tmp_path, *folders)
    for split in ("train", "test", "all"):
        with pytest.raises(ValueError, match=match):
            data.load(tmp_path, split)


UNKNOWN = [("train_a", "test_b"), ("train_cats", "test_dogs"), ("TR", "TE"), ("Trainingsdaten", "Testdaten"),
           ("fold1", "fold2"), ("a_train", "a_train2"), ("fold1", "fold2", "fold3"),
           ("train/x", "train/y", "test")]  # fmt: skip


@pytest.mark.parametrize("names", UNKNOWN)
def test_parts_of_unknown_names_are_not_taken_for_classes(tmp_path, names):
    for name in names:
        write(tmp_path / "root" / name, "a", "b")
    last = [name.rpartition("/")[2] for name in names if "/" in name] or sorted(names)
    listed = ", ".join(f"{name}/" for name in last)
    with pytest.raises(ValueError,
                       match=rf"{listed} hold folders of the same names \(a, b\).*: rename them to train, validation"):
        data.load(tmp_path / "root")
    assert data.load(tmp_path / "root" / names[0], "all").classes == ["a", "b"]


def test_parts_of_unknown_names_where_one_lacks_a_class(tmp_path):
    write(tmp_path, "TR/a", "TR/b", "TE/a")
    with pytest.raises(ValueError, match=r"TE/, TR/ hold folders of the same names \(a, b\)"):
        data.load(tmp_path, "all")
    assert data.image_folder(tmp_path).classes == ["TE", "TR"]
    assert data.load(tmp_path, "all", classes=["TE", "TR"]).classes == ["TE", "TR"]


@pytest.mark.parametrize("folders",
                         [("cat/images", "dog/images"), ("cat/young", "cat/old", "dog/shepherd", "dog/poodle"),
                          ("cat/young", "cat/old", "dog/young", "dog/old", "dog")])  # fmt: skip
def test_classes_with_folders_in_them(tmp_path, folders):
    write(tmp_path, *folders)
    assert data.load(tmp_path, "all").classes == ["cat", "dog"]


def test_what_is_refused_can_be_read_as_classes(tmp_path):
    write(tmp_path, "cat", "dog", "test")
    assert data.image_folder(tmp_path).classes == ["cat", "dog", "test"]
    known = ["cat", "dog", "test"]
    assert data.load(tmp_path, "all", classes=known).classes == known  # a model that knows these names


CLASSES = [["bus", "car", "train"], ["invalid", "valid"], ["train_station", "test_tube"],
           ["traintrack", "valley", "devil"], ["0", "1"], ["contest", "latest"], ["evaluate_me", "b"],
           ["training shoe", "sandal"]]  # fmt: skip


@pytest.mark.parametrize("names", CLASSES)
def test_classes_that_only_look_like_parts(tmp_path, names):
    write(tmp_path, *names)
    assert data.load(tmp_path, "all").classes == sorted(names)
    for part in ("train", "test"):
        write(tmp_path / "parts" / part, *names)
    assert data.load(tmp_path / "parts", "test").classes == sorted(names)


def test_a_test_part_without_classes(tmp_path):
    write(tmp_path, "train/cat", "train/dog", "test")
    assert len(data.load(tmp_path)) == 10
    with pytest.raises(ValueError, match="test: no sub-folders, its images say no class, expected one for each class"):
        data.load(tmp_path, "test")


def test_a_single_class_is_no_folder_to_go_down_into(tmp_path):
    write(tmp_path, "cat")
    assert data.load(tmp_path, "all").classes == ["cat"]
    write(tmp_path / "root", "cat/young", "cat/old")
    assert data.load(tmp_path / "root", "all", classes=["ant", "cat"]).classes == ["ant", "cat"]
