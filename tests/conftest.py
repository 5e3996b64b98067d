"""What all tests share."""

import signal

import pytest

from segment.datasets import dataset_folder, is_present


@pytest.fixture(scope="session", autouse=True)
def default_signals():
    """Let children be interrupted even where the tests run in the background, whose signals are ignored."""
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


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


@pytest.fixture(scope="session")
def small_report(tmp_path_factory):
    """Return a report of three light sections and a tiny photo of two colors."""
    import numpy as np
    from PIL import Image

    from segment.report.build import write_report
    from segment.report.settings import Settings

    folder = tmp_path_factory.mktemp("report")
    rng = np.random.default_rng(0)
    pixels = rng.normal((40, 90, 160), 12, (48, 64, 3))
    pixels[10:40, 20:50] = rng.normal((200, 120, 40), 12, (30, 30, 3))
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / "tile.png")
    settings = Settings(folder, photos=(str(folder / "tile.png"),))
    return write_report(settings, only=("em", "mouse", "five-points", "photos"))
