"""The catalog is what Keras says today."""

import importlib.resources

import pytest

from transforms.backbones.catalog import print_catalog
from transforms.backbones.catalog.facts import catalog_rows
from transforms.backbones.catalog.print_catalog import catalog_row, main, preprocessing

BUILT = ["EfficientNetB1", "MobileNetV3Small", "VGG16"]


@pytest.mark.parametrize("name", BUILT)
def test_the_catalog_is_what_keras_says(name: str) -> None:
    assert catalog_row(name) == catalog_rows()[name]


@pytest.mark.parametrize("name", catalog_rows())
def test_the_way_of_preprocessing_is_found_out_by_its_numbers(name: str) -> None:
    assert preprocessing(name) == catalog_rows()[name].preprocessing


@pytest.mark.exhaustive
def test_what_is_printed_is_the_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # All of them take minutes; `test_all_backbones` compares each row with Keras.
    monkeypatch.setattr(print_catalog, "constructors", lambda: BUILT)
    main()
    file = importlib.resources.files("transforms.backbones.catalog").joinpath("catalog.csv").read_text(encoding="utf-8")
    header, *rows = file.splitlines(keepends=True)
    assert capsys.readouterr().out == header + "".join(row for row in rows if row.partition(",")[0] in BUILT)
