"""A picture of each kind as it was when somebody looked at it last: pytest-mpl compares it with its file in baselines/.
The files are small, for layout, colours and hatching; the numbers on the pictures have tests of their own.

A change that is meant is looked at, and made the new baseline, with the versions of the extra `baselines`:

    pytest -m baselines --mpl-generate-path=$PWD/tests/plots/baselines tests/plots
"""

import pytest
from displays import pictures

pytest.importorskip("pytest_mpl", reason="pytest-mpl is not installed: pip install -e '.[baselines]'")
pytestmark = pytest.mark.baselines


@pytest.fixture(autouse=True)
def _compared(request):
    if not (request.config.getoption("mpl") or request.config.getoption("mpl_generate_path")):
        pytest.fail("without --mpl nothing is compared: pytest -m baselines --mpl tests/plots")


def compared(name):
    """The test of a picture, whose file has its name."""
    @pytest.mark.mpl_image_compare(baseline_dir="baselines", filename=f"{name.replace(' ', '-')}.png", style="default",
                                   savefig_kwargs={"dpi": 20, "pil_kwargs": {"optimize": True}})
    def test():
        return pictures()[name]().plot().figure_

    return test


# Of the same class as another.
_ALIKE = {"convolution of a model", "channel sum of a model", "activation", "averages", "flatten"}

for _name in pictures().keys() - _ALIKE:
    globals()[f"test_{_name.replace(' ', '_')}"] = compared(_name)
