"""Crops and colour changes of whole batches, on the device, without a loop over samples.

Shape letters: B batch, C channels, H height, W width. Boxes are (top, left, height, width) in pixels, where the full
frame is (0, 0, H, W): pixel i covers [i, i+1) and its centre is i + 0.5.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tst.modalities.base import Modality

# Samples a chunk on the CPU: as float32 they should stay in the cache (measured: 2.5 times faster than all at once).
CHUNK_ELEMENTS = 1 << 20


def crop(x_BCHW: Tensor, boxes_B4: Tensor, flip_B: Tensor, size: int, modality: Modality) -> Tensor:
    """Cut one box from each image, resize it to `size` x `size`, and mirror it where `flip_B` says.

    Args:
        x_BCHW: stored values of any integer or float type and any strides (a permuted channels-last array is fine).
        boxes_B4: top, left, height, width in pixels of x, fractions allowed; nothing outside a box is looked at
            beyond the pixels it touches.
        flip_B: bool.
        size: side of the result.
        modality: decides between bilinear and nearest, and what mirroring does to the values.

    Returns:
        (B, C, size, size) float32 stored values.
    """
    boxes = boxes_B4.to(x_BCHW.device, torch.float32)
    flip = flip_B.to(x_BCHW.device)
    rows = _positions(boxes[:, 0], boxes[:, 2], size)
    columns = _positions(boxes[:, 1], boxes[:, 3], size)
    columns = torch.where(flip[:, None], columns.flip(1), columns)
    sample = _bilinear if modality.interpolation == "bilinear" else _nearest
    changes_values = type(modality).flip_values is not Modality.flip_values
    batch, channels, height, width = x_BCHW.shape
    on_cpu = x_BCHW.device.type == "cpu"
    chunk = max(1, CHUNK_ELEMENTS // (channels * height * width)) if on_cpu else max(1, batch)
    result = torch.empty(batch, channels, size, size, device=x_BCHW.device)
    for begin in range(0, batch, chunk):
        part = slice(begin, begin + chunk)
        cut = sample(x_BCHW[part], rows[part], columns[part])
        if changes_values:
            cut = torch.where(flip[part].view(-1, 1, 1, 1), modality.flip_values(cut), cut)
        result[part] = cut
    return result


def _positions(start_B: Tensor, length_B: Tensor, size: int) -> Tensor:
    """Centres of `size` equal parts of each interval, (B, size), kept within the pixels that the interval touches."""
    steps = torch.arange(size, device=start_B.device) + 0.5
    positions = start_B[:, None] + steps * length_B[:, None] / size
    first, last = start_B.floor() + 0.5, (start_B + length_B).ceil() - 0.5
    return torch.minimum(torch.maximum(positions, first[:, None]), last[:, None])


def _bilinear(x_BCHW: Tensor, rows_BS: Tensor, columns_BS: Tensor) -> Tensor:
    height, width = x_BCHW.shape[2:]
    size = rows_BS.shape[1]
    y, x = rows_BS * (2 / height) - 1, columns_BS * (2 / width) - 1
    grid = torch.stack([x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)], -1)
    return F.grid_sample(x_BCHW.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)


def _nearest(x_BCHW: Tensor, rows_BS: Tensor, columns_BS: Tensor) -> Tensor:
    batch, channels, height, width = x_BCHW.shape
    size = rows_BS.shape[1]
    rows = rows_BS.long().clamp(0, height - 1)
    columns = columns_BS.long().clamp(0, width - 1)
    is_uint16 = x_BCHW.dtype == torch.uint16
    stored = x_BCHW.view(torch.int16) if is_uint16 else x_BCHW  # few operations know uint16
    image = torch.arange(batch, device=x_BCHW.device) * (height * width)
    index = (image[:, None, None] + rows[:, :, None] * width + columns[:, None, :]).view(-1)
    pixels = stored.movedim(1, -1).reshape(batch * height * width, channels)
    picked = pixels.index_select(0, index).view(batch, size, size, channels).movedim(-1, 1).float()
    return torch.where(picked < 0, picked + 65536, picked) if is_uint16 else picked


def random_boxes(
    extents_B2: Tensor, scale: tuple[float, float], ratio: tuple[float, float], generator: torch.Generator | None = None
) -> Tensor:
    """Boxes for random resized crops, (B, 4) float32 as top, left, height, width.

    The area is uniform in `scale` times that of the largest square of the frame, width : height is log-uniform in
    `ratio`, what would stick out is cut off, and the place is uniform.

    Args:
        extents_B2: height and width of each frame, on the generator's device.
    """
    extents = extents_B2.float()
    random = torch.rand(len(extents), 4, generator=generator, device=extents.device)
    area = extents.amin(1).square() * (scale[0] + (scale[1] - scale[0]) * random[:, 0])
    low, high = torch.tensor(ratio).log().tolist()
    root = (0.5 * (low + (high - low) * random[:, 1])).exp()
    size = torch.minimum(torch.stack([area.sqrt() / root, area.sqrt() * root], 1), extents)
    return torch.cat([(extents - size) * random[:, 2:], size], 1)


def colour_jitter(
    x_B3HW: Tensor,
    brightness: float = 0.4,
    contrast: float = 0.4,
    saturation: float = 0.4,
    hue: float = 0.1,
    probability: float = 1.0,
    generator: torch.Generator | None = None,
    *,
    grey: float = 0.0,
    maximum: float = 255.0,
) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image by its own random amounts.

    All of it is one 3x3 matrix and offset an image, applied at once and clipped at the end: brightness scales, contrast
    scales about the image's mean grey, saturation mixes with grey, hue turns about the grey axis (in YIQ).

    Args:
        x_B3HW: values in [0, maximum].
        brightness: the factor is uniform in [1 - brightness, 1 + brightness]; contrast and saturation likewise.
        hue: the turn is uniform in [-hue, hue] of a full circle.
        probability: share of the images that are changed.
        generator: on the CPU, so that a seed gives the same changes on every device.
        grey: share of the images that become grey, drawn apart from `probability`.
        maximum: 255 for stored values, 1 for images in [0, 1].
    """
    x, device, batch = x_B3HW.float(), x_B3HW.device, len(x_B3HW)
    random = torch.rand(batch, 6, generator=generator).to(device)
    spread = torch.tensor([brightness, contrast, saturation, hue], device=device)
    changed = (random[:, 4:5] < probability).float()
    amount = changed * spread * (2 * random[:, :4] - 1)
    gain, slope, colour = (1 + amount[:, :3]).clamp_min(0).view(-1, 3, 1, 1).unbind(1)
    colour = torch.where((random[:, 5] < grey).view(-1, 1, 1), 0.0, colour)
    angle = 2 * torch.pi * amount[:, 3]
    to_yiq = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], device=device)
    turn = torch.zeros(batch, 3, 3, device=device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = angle.cos()
    turn[:, 1, 2], turn[:, 2, 1] = -angle.sin(), angle.sin()
    luma = to_yiq[0]
    identity = torch.eye(3, device=device)
    saturate = colour * identity + (1 - colour) * luma.expand(3, 3)
    matrix = torch.linalg.inv(to_yiq) @ turn @ to_yiq @ saturate * (gain * slope)
    mean_grey = (x.mean((2, 3)) * luma).sum(1)
    offset = (1 - slope[:, 0, 0]) * gain[:, 0, 0] * mean_grey
    result = torch.baddbmm(offset.view(-1, 1, 1), matrix, x.flatten(2)).view_as(x)
    return result.clamp_(0, maximum)
