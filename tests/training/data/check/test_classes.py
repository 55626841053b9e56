from __future__ import annotations


def test_unknown_values_come_with_files_counts_and_their_fraction(make_folder, good, ids, problems):
    good["train/0"] = ids(0, 1, 1, 9)
    root = make_folder(good)
    (root / "dataset.yaml").write_text(
        "encoding: values\nclasses: [{name: a, values: [0]}, {name: b, values: [1]}]"
    )
    problem = problems(root)["unknown-values"]
    assert problem.severity == "error"
    assert problem.title == "value 9 in no class: 192 px (2.1 %) in 1 of 12 masks"
    assert problem.items[0].detail == "9 (192 px)"
    assert problem.items[0].file == root / "masks" / "train" / "0.png"
    assert "`ignore: [9]`" in problem.cure
    assert '`exclude: ["0"]` in dataset.yaml, or --allow-bad 1' in problem.cure


def test_a_mask_of_ignored_pixels_alone_is_reported(make_folder, good, ids, problems):
    good["train/0"] = ids(255)
    assert problems(make_folder(good))["all-ignore"].stems == ("0",)


def test_a_class_that_val_lacks_is_reported(make_folder, good, ids, problems):
    good["train/0"] = ids(0, 1, 2)
    problem = problems(make_folder(good))["missing-class"]
    assert problem.items[0].detail == (
        "class_2: not in val and test (images: 1 in train, 0 in val, 0 in test)"
    )


def test_one_class_only_is_an_error(make_folder, good, ids, problems):
    root = make_folder({name: ids(0) for name in good})
    assert problems(root)["one-class"].severity == "error"


def test_a_single_image_is_too_few(make_folder, ids, problems):
    assert problems(make_folder({"a": ids(0, 1)}))["empty-split"].severity == "error"


def test_ids_that_number_objects_are_recognised(make_folder, ids, problems):
    masks = {f"train/{number}": ids(*range(number + 3)) for number in range(14)}
    masks |= {f"val/{number}": ids(*range(number - 10)) for number in range(14, 18)}
    problem = problems(make_folder(masks))["instance-ids"]
    assert "up to 15" in problem.title
    assert "`nearest: true`" in problem.cure


def test_names_that_differ_in_capitals_alone_are_told(make_folder, good, ids, problems):
    root = make_folder({name: ids(0, 1, 2) for name in good})
    (root / "classes.csv").write_text("id,name\n0,sky\n1,Car\n2,car \n")
    problem = problems(root)["names-alike"]
    assert problem.severity == "warning"
    assert problem.items[0].detail == "'Car', 'car'"
