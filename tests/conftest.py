"""What all tests share."""

import pytest

from segment.datasets import dataset_folder, is_present


@pytest.fixture
def need_dataset():
    """Return the folder of a data set, or skip the test where the data set has not been fetched."""

    def need(name):
        if not is_present(name):
            pytest.skip(
                f"data set {name} is absent: run `segment datasets fetch {name}` or set SEGMENT_DATASETS"
            )
        return dataset_folder(name)

    return need
