"""How far pictures are from a painting, without any other network: sliced Wasserstein distances of their patches and of their colours."""
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

# What the octaves of the painting count, from the finest on. The finest counts little: it is cheapest to match with a grid of dots.
OCTAVES = (0.1, 0.8, 1.2, 1.2)
# Pixels of a patch, random directions in which patches are compared in a step, and patches of each picture.
PATCH, FILTERS, SAMPLES = 5, 24, 3000


def halved(x, times):
    return F.avg_pool2d(x, 2**times) if times else x


def octave(x, times):
    """What the picture shows between two scales: its strokes of one size."""
    x = halved(x, times)
    return x - F.interpolate(F.avg_pool2d(x, 2), size=x.shape[-2:], mode="bilinear", align_corners=False)


def sorted_sample(values, count):
    """values: [filters, many]. A sorted sample of each row."""
    return values[:, torch.randint(values.shape[1], (count,))].sort(1)[0]


class Painting:
    """The picture whose style is learned: its patches and its colours."""

    def __init__(self, path):
        image = Image.open(path).convert("RGB")
        x = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255
        # Without the edge, where a frame may be.
        top, left = x.shape[2] // 40, x.shape[3] // 40
        self.picture = x[:, :, top : x.shape[2] - top, left : x.shape[3] - left]
        self.octaves = [octave(self.picture, times) for times in range(len(OCTAVES))]

    def stroke_distance(self, pictures):
        """The sliced Wasserstein distance of the patches of all pictures together and of the painting, in units of the painting's contrast."""
        total = 0
        for times, (weight, own) in enumerate(zip(OCTAVES, self.octaves)):
            filters = torch.randn(FILTERS, 3, PATCH, PATCH)
            wanted = F.conv2d(own, filters).flatten(2)[0]
            found = F.conv2d(octave(pictures, times), filters).transpose(0, 1).flatten(1)
            contrast = wanted.std(1, keepdim=True) + 1e-3
            count = min(SAMPLES, found.shape[1])
            difference = (sorted_sample(found, count) - sorted_sample(wanted, count)) / contrast
            total = total + weight * difference.abs().mean()
        return total / sum(OCTAVES)

    def palette_distance(self, pictures):
        """The same for the colours of pixels, and of patches of 8 pixels."""
        axes = torch.cat([torch.randn(8, 3), torch.eye(3), torch.tensor([[1.0, 1, 1], [1, -1, 0], [1, 1, -2]])])
        axes = axes / axes.norm(dim=1, keepdim=True)
        total = 0
        for patch in (2, 8):
            found = axes @ F.avg_pool2d(pictures, patch).transpose(0, 1).flatten(1)
            wanted = axes @ F.avg_pool2d(self.picture, patch)[0].flatten(1)
            count = min(SAMPLES, found.shape[1])
            total = total + (sorted_sample(found, count) - sorted_sample(wanted, count)).abs().mean()
        return total / 2
