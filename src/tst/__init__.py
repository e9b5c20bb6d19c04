"""TST: a vision model for one space, made in that space (test-space training).

The stages, in order, are `read`, `derive`, `tokenize`, `pretrain`, `transfer`, `evaluate`; `specialize` runs them all.
They are loaded when first used: `import tst` alone is quick.

```python
import tst

tst.read("nerfstudio", "capture", "spaces/home")
config = tst.preset("cpu").replace(pretrain={"steps": 5000})
comparison = tst.specialize(
    "spaces/home", transfer="spaces/labelled", evaluate="spaces/home-labelled", out="runs/home", config=config
)
```
"""

import importlib
from typing import TYPE_CHECKING, Any

from tst.errors import UserError

__version__ = "0.1.0"

__all__ = [
    "Predictor",
    "Space",
    "UserError",
    "__version__",
    "derive",
    "evaluate",
    "preset",
    "pretrain",
    "read",
    "show",
    "specialize",
    "tokenize",
    "transfer",
]

_MODULES = {
    "Predictor": "tst.evaluation.evaluate",
    "Space": "tst.space.space",
    "derive": "tst.modalities.derive",
    "evaluate": "tst.evaluation.evaluate",
    "preset": "tst.presets",
    "pretrain": "tst.pretraining.pretrain",
    "read": "tst.readers",
    "show": "tst.space.contact_sheet",
    "specialize": "tst.specialization.specialize",
    "tokenize": "tst.tokenizers.train",
    "transfer": "tst.finetuning.transfer",
}

if TYPE_CHECKING:
    from tst.evaluation.evaluate import Predictor, evaluate
    from tst.finetuning.transfer import transfer
    from tst.modalities.derive import derive
    from tst.presets import preset
    from tst.pretraining.pretrain import pretrain
    from tst.readers import read
    from tst.space.contact_sheet import show
    from tst.space.space import Space
    from tst.specialization.specialize import specialize
    from tst.tokenizers.train import tokenize


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'tst' has no attribute {name!r}")
