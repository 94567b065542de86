"""Small random models in the libraries' formats, written once for all tests of the encoders."""

import pytest
import torch

from fakes import imagebind, models


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    """Folder of the fakes, and the libraries' own models by name: `folder, originals`."""
    folder = tmp_path_factory.mktemp("zoo")
    originals = {
        "open_clip": models.write_open_clip(folder / "open_clip"),
        "timm": models.write_timm(folder / "timm"),
        "unicom": models.write_unicom(folder / "unicom.pt"),
        "imagebind": imagebind.write_imagebind(folder / "imagebind.pth"),
    }
    for family in models.FAMILIES:
        originals[family] = models.write_transformers(folder / family, family)
    return folder, originals


@pytest.fixture(scope="session")
def pictures():
    """Makes n random 8-bit pictures of a size, the same ones every time."""

    def make(n, size):
        source = torch.Generator().manual_seed(n)
        coarse = torch.randint(0, 256, (n, 3, 8, 8), generator=source).float()
        smooth = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")
        return smooth.round().to(torch.uint8)

    return make


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """The models are so small that threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
