"""Our encoder and a head; modalities beside RGB enter through their frozen tokenizers ("multimodal scratch").

Shape suffixes: B batch, C channels, H height, W width, N tokens, D width.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from tst.backbones.base import resize_square
from tst.finetuning.model import HeadedModel, HeadShape, Licences
from tst.finetuning.task import Task
from tst.modalities import MODALITIES
from tst.modalities.rgb import to_imagenet
from tst.model.fourm import Encoder, layer_decay_groups
from tst.model.sizes import Size
from tst.pretraining.batches import model_table, pixel_name, token_name
from tst.pretraining.initial import architecture
from tst.tokenizers.tokenizer import Tokenizer, TokenizerModelConfig


class EncoderModel(HeadedModel):
    """Encoder, head and, where modalities beside RGB are inputs, their frozen tokenizers."""

    kind = "encoder"

    def __init__(
        self,
        task: Task,
        resolution: int,
        encoder: Encoder,
        shape: HeadShape,
        *,
        tokenizers: Mapping[str, Tokenizer] | None = None,
        freeze: bool = False,
        licences: Licences = (),
    ) -> None:
        super().__init__(task, resolution, licences, shape, freeze)
        self.trunk = encoder.requires_grad_(not freeze)
        self.tokenizers = nn.ModuleDict(dict(tokenizers or {})).requires_grad_(False)

    @property
    def encoder(self) -> Encoder:
        """The trunk."""
        return cast(Encoder, self.trunk)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Modalities it looks at, RGB first."""
        return ("rgb", *self.tokenizers)

    @property
    def parameter_count(self) -> int:
        """Of encoder and head."""
        return super().parameter_count - sum(parameter.numel() for parameter in self.tokenizers.parameters())

    def train(self, mode: bool = True) -> Self:
        """As `nn.Module.train`, but the tokenizers stay as they are (a VQ codebook would go on learning)."""
        super().train(mode)
        self.tokenizers.eval()
        return self

    def tokens(self, stored: dict[str, Tensor]) -> Tensor:
        """Tokens (B, N, D); of several modalities their mean at each position."""
        rgb_B3HW = resize_square(stored["rgb"], self.shape.grid * self.encoder.modalities[0].patch)
        inputs = {pixel_name(self.resolution): to_imagenet(rgb_B3HW)}
        with torch.no_grad():
            for name, tokenizer in self.tokenizers.items():
                ids_BN = cast(Tokenizer, tokenizer).encode(*MODALITIES[name].normalise(stored[name]))
                inputs[token_name(name, self.resolution)] = ids_BN
        tokens_BND = self.encoder(inputs)
        count = len(inputs)
        if count > 1:
            batch, total, width = tokens_BND.shape
            tokens_BND = tokens_BND.view(batch, count, total // count, width).mean(1)
        return tokens_BND

    def trunk_groups(self, lr: float, weight_decay: float, layer_decay: float) -> list[dict[str, Any]]:
        """By the encoder's own layers."""
        return layer_decay_groups(self.encoder, None, lr, weight_decay, layer_decay)

    def spec(self) -> dict[str, Any]:
        """The encoder's architecture, the head's shape, the tokenizers' configs."""
        tokenizers = {name: cast(Tokenizer, item) for name, item in self.tokenizers.items()}
        return {
            "encoder": architecture(self.encoder),
            "head": asdict(self.shape),
            "tokenizers": {name: item.config.model_dump(mode="json") for name, item in tokenizers.items()},
            "outputs": {name: item.outputs for name, item in tokenizers.items()},
        }

    @classmethod
    def from_spec(cls, task: Task, resolution: int, licences: Licences, spec: dict[str, Any]) -> Self:
        """See `TaskModel.from_spec`."""
        outputs = spec.get("outputs", {})  # models made before there were tokenizers of features and masks have none
        tokenizers = {
            name: Tokenizer(name, resolution, TokenizerModelConfig.model_validate(item), outputs.get(name))
            for name, item in spec["tokenizers"].items()
        }
        vocabularies = {name: item.config.vocabulary for name, item in tokenizers.items()}
        known = spec["encoder"]
        table = model_table(vocabularies, resolution, known["patch"])
        encoder = Encoder(Size(**known["size"]), table, **known["options"])
        return cls(task, resolution, encoder, HeadShape(**spec["head"]), tokenizers=tokenizers, licences=licences)
