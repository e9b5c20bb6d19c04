"""The 4M encoder-decoder, with 4M's names and shapes."""

from tst.model.fourm import (
    Encoder,
    FourM,
    LoadReport,
    Output,
    fill_shared,
    layer_decay_groups,
    load_encoder,
    load_fourm,
    model_state,
    parameter_groups,
)
from tst.model.sizes import FAMILIES, SIZES, Family, Size, get_size
from tst.model.table import FOURM_21, ModalitySpec, input_slices, target_slices

__all__ = [
    "FAMILIES",
    "FOURM_21",
    "SIZES",
    "Encoder",
    "Family",
    "FourM",
    "LoadReport",
    "ModalitySpec",
    "Output",
    "Size",
    "fill_shared",
    "get_size",
    "input_slices",
    "layer_decay_groups",
    "load_encoder",
    "load_fourm",
    "model_state",
    "parameter_groups",
    "target_slices",
]
