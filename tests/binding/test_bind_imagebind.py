"""ImageBind's towers as binder, as a sense, and as a row beside another sense."""

import numpy as np

from binding.world import table
from fakes.imagebind import write_imagebind
from syntype.binding.space import Space
from syntype.configs import Workplace
from syntype.configs.bind import BindConfig
from syntype.data.observations import read_observations
from syntype.sweep.binding import bind_space, spaces_of

YES = "?licence=accepted"
EAR = "untrained:sound-small?dim=12&seconds=0.3"
CONFIG = BindConfig(epochs=1, unlocked_epochs=0, batch_size=32, flip=False)


def test_imagebind_is_binder_and_a_row_in_the_same_harness(tmp_path):
    write_imagebind(tmp_path / "imagebind.pth")
    file = f"{tmp_path}/imagebind.pth?licence=accepted"
    folder = bind_space(
        data=str(table(tmp_path / "media", per_species=5, media=("image", "sound"))),
        encoder=f"imagebind:{file}",
        senses={"sound": "untrained:sound-small?dim=12&seconds=0.3"},
        config=CONFIG,
        place=Workplace(workspace=tmp_path / "runs", device="cpu"),
        compare=(f"sound=imagebind-audio:{file}",),
    )
    made = spaces_of(folder)
    assert [one.role for one in made] == ["image only", "locked", "compared"]
    seen = read_observations(str(tmp_path / "media"), workspace=tmp_path / "runs")
    space = Space.open(folder / made[-1].folder, workspace=tmp_path / "runs", device="cpu")
    assert space.modalities == ("image", "text", "sound")
    assert space.senses["sound"].preparation["front"] == "imagebind"
    for sense in ("image", "sound"):
        ids, vectors = space.vectors(seen, sense)
        assert vectors.shape == (len(ids), 24) == (len(seen), 24)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
