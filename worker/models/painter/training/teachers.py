"""Makes the pictures that the network learns from: a published fast-neural-style network over the clean scenes, with the colours of a painting.

  teachers.py scenes.npy TEACHER.bin OUT.npy [--scenes 400] [--painting FILE --saturation 1.25 --contrast 1.2] [--glow]
              [--tune SATURATION,GAMMA,DETAIL,HUE[,BRIGHTNESS]] [--plain FILE.npy] [--preview FILE.png]

Writes uint8 [scenes, 3, size, size]. Teachers: candy, mosaic, pointilism, rain_princess and udnie of pytorch/examples (BSD-3-Clause), as float16
weights in the order of the layers. --plain keeps the teacher's own pictures for the next style that has the same teacher.
"""
import argparse
import struct
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance

LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
AT_ONCE = 16
# Marks float16 weights in a file of ncnn.
FLOAT16 = 0x01306B47


class Teacher:
    """Johnson et al. 2016 with instance normalisation. RGB in 0..255 in and out; sides that are multiples of 4."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.at = 0
        shapes = [(3, 32, 9), (32, 64, 3), (64, 128, 3), *[(128, 128, 3)] * 10, (128, 64, 3), (64, 32, 3)]
        self.layers = [(*self.convolution(*shape), *self.norm(shape[1])) for shape in shapes]
        self.last = self.convolution(32, 3, 9)
        if self.at != len(self.data):
            raise SystemExit(f"{path} has {len(self.data)} bytes; a teacher has {self.at}.")

    def convolution(self, inputs, outputs, kernel):
        if struct.unpack_from("<I", self.data, self.at)[0] != FLOAT16:
            raise SystemExit(f"There are no float16 weights at byte {self.at}.")
        self.at += 4
        count = inputs * outputs * kernel * kernel
        weight = np.frombuffer(self.data, "<f2", count, self.at).astype("f4").reshape(outputs, inputs, kernel, kernel)
        self.at += 2 * count
        self.at += -self.at % 4
        return torch.from_numpy(weight), self.floats(outputs)

    def norm(self, channels):
        return self.floats(channels), self.floats(channels)

    def floats(self, count):
        values = np.frombuffer(self.data, "<f4", count, self.at).copy()
        self.at += 4 * count
        return torch.from_numpy(values)

    def layer(self, x, number, stride=1):
        weight, bias, gamma, beta = self.layers[number]
        return F.instance_norm(convolved(x, weight, bias, stride), weight=gamma, bias=beta)

    @torch.no_grad()
    @torch.autocast("cpu", torch.bfloat16)
    def __call__(self, x):
        for number, stride in ((0, 1), (1, 2), (2, 2)):
            x = F.relu(self.layer(x, number, stride))
        for block in range(5):
            x = x + self.layer(F.relu(self.layer(x, 3 + 2 * block)), 4 + 2 * block)
        for number in (13, 14):
            x = F.relu(self.layer(F.interpolate(x, scale_factor=2.0, mode="nearest"), number))
        return convolved(x, *self.last).float()


def convolved(x, weight, bias, stride=1):
    pad = weight.shape[-1] // 2
    return F.conv2d(F.pad(x, (pad,) * 4, "reflect"), weight, bias, stride)


def in_groups(change, *tensors):
    """Applies a change to uint8 pictures, a few at a time. It takes and returns values in 0..1."""
    done = []
    for start in range(0, len(tensors[0]), AT_ONCE):
        parts = [tensor[start : start + AT_ONCE].float() / 255 for tensor in tensors]
        done.append((change(*parts).clamp(0, 1) * 255).round().byte())
    return torch.cat(done)


def recoloured(pictures, painting, saturation, contrast):
    """One smooth map from the colours of the pictures to those of a painting (iterative distribution transfer, Pitié et al. 2007)."""
    image = Image.open(painting).convert("RGB")
    width, height = image.size
    image = ImageEnhance.Contrast(ImageEnhance.Color(image).enhance(saturation)).enhance(contrast)
    # Without the edge, where a frame may be.
    image = image.crop((width // 30, height // 30, width - width // 30, height - height // 30)).resize((300, 300), Image.BOX)
    wanted = colours(torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None])
    start = colours(pictures[::7, :, ::2, ::2])
    moved = start.clone()
    for step in range(40):
        axes, _ = torch.linalg.qr(torch.randn(3, 3))
        if step == 0:
            # Lightness first, so that what is light stays light.
            axes = torch.linalg.qr(torch.tensor([[0.577, 0.7, 0.4], [0.577, -0.7, 0.4], [0.577, 0.0, -0.8]]))[0]
        along, goal = axes.T @ moved, axes.T @ wanted
        matched = torch.empty_like(along).scatter_(1, along.argsort(1), goal.sort(1)[0])
        moved = axes @ (along + (matched - along) * (1.0 if step < 30 else 0.5))
    table = displacement_table(start, moved - start)

    def change(x):
        # grid_sample takes the last axis, blue, as x.
        places = (x.permute(0, 2, 3, 1) * 2 - 1)[..., [2, 1, 0]][:, None]
        return x + F.grid_sample(table.expand(len(x), -1, -1, -1, -1), places, align_corners=True)[:, :, 0]

    return in_groups(change, pictures)


def colours(pictures, count=12_000):
    """A sample of the pixels: [3, count] in 0..1."""
    pixels = pictures.permute(1, 0, 2, 3).reshape(3, -1)
    return pixels[:, torch.randperm(pixels.shape[1])[:count]].float() / 255


def displacement_table(start, change, side=20):
    """The mean change of the colours near each point of a grid: [1, 3, side, side, side]."""
    grid = torch.stack(torch.meshgrid(*[torch.linspace(0, 1, side)] * 3, indexing="ij"), -1).view(-1, 3)
    table = torch.empty(side**3, 3)
    for begin in range(0, side**3, 500):
        distance = torch.cdist(grid[begin : begin + 500], start.T)
        weight = torch.exp(-((distance / 0.07) ** 2)) + 1e-6 / (distance + 0.02) ** 2
        table[begin : begin + 500] = (weight @ change.T) / weight.sum(1, keepdim=True)
    return table.view(side, side, side, 3).permute(3, 0, 1, 2)[None]


def glowing(scenes, pictures, plain):
    """What is bright in the teacher's picture, or brighter than its surroundings in the scene, becomes a golden light. plain: without colours."""
    gold = torch.tensor([1.0, 0.85, 0.30]).view(1, 3, 1, 1)

    def change(scene, x, y):
        light, scene_light = (x * LUMA).sum(1, keepdim=True), (scene * LUMA).sum(1, keepdim=True)
        saturation = x.max(1, keepdim=True)[0] - x.min(1, keepdim=True)[0]
        white = smooth_step(light, 0.79, 0.95) * (1 - (saturation - 0.15).clamp(min=0) / 0.5).clamp(0, 1) * 0.85
        lamp = smooth_step(scene_light - surroundings(scene_light), 0.08, 0.24) * smooth_step(scene_light, 0.65, 0.88)
        share = torch.maximum(white, lamp * (0.35 + 0.6 * smooth_step(light, 0.25, 0.6)))
        shine = gold * (0.62 + 0.38 * torch.maximum(light, lamp * scene_light))
        return (y * (1 - share) + shine * share - 0.5) * 1.06 + 0.52

    return in_groups(change, scenes, plain, pictures)


def smooth_step(value, low, high):
    value = ((value - low) / (high - low)).clamp(0, 1)
    return value * value * (3 - 2 * value)


def surroundings(value):
    small = F.avg_pool2d(value, 8)
    for kernel in (9, 5):
        small = F.avg_pool2d(small, kernel, 1, kernel // 2, count_include_pad=False)
    return F.interpolate(small, size=value.shape[-2:], mode="bilinear")


def tuned(scenes, pictures, saturation, gamma, detail, hue, brightness=0.0):
    """Puts back a part of the scene's detail, hue and brightness, so that the content stays readable and the sun stays bright."""

    def change(scene, x):
        scene_light = (scene * LUMA).sum(1, keepdim=True)
        light = (x * LUMA).sum(1, keepdim=True)
        x = x + hue * blurred(scene - scene_light, 9)
        x = x + detail * (blurred(scene_light, 3) - blurred(scene_light, 41))
        x = x + brightness * (blurred(scene_light, 15) - blurred(light, 15))
        light = (x * LUMA).sum(1, keepdim=True)
        return (light + saturation * (x - light)).clamp(0, 1) ** gamma

    return in_groups(change, scenes, pictures)


def blurred(x, kernel):
    return F.avg_pool2d(x, kernel, 1, kernel // 2, count_include_pad=False)


def calmed(pictures):
    """Removes the grain of the canvas and the dots of the teacher, and keeps edges."""
    fine, wide = binomial([1.0, 2, 1]), binomial([1.0, 4, 6, 4, 1])

    def change(x):
        soft, softer = filtered(x, fine), filtered(x, wide)
        light = soft.mean(1, keepdim=True)
        contrast = (filtered(light * light, wide) - filtered(light, wide) ** 2).clamp(min=0).sqrt()
        edge = ((contrast - 0.02) / 0.05).clamp(0, 1)
        return edge * (x + 0.5 * (soft - x)) + (1 - edge) * softer

    return in_groups(change, pictures)


def binomial(row):
    row = torch.tensor(row)
    kernel = row[:, None] * row[None]
    return (kernel / kernel.sum())[None, None]


def filtered(x, kernel):
    batch, channels, height, width = x.shape
    pad = kernel.shape[-1] // 2
    flat = F.pad(x.reshape(batch * channels, 1, height, width), (pad,) * 4, mode="replicate")
    return F.conv2d(flat, kernel).view(batch, channels, height, width)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes")
    parser.add_argument("teacher")
    parser.add_argument("out")
    parser.add_argument("--scenes", dest="count", type=int, default=400)
    parser.add_argument("--plain")
    parser.add_argument("--painting")
    parser.add_argument("--saturation", type=float, default=1.25)
    parser.add_argument("--contrast", type=float, default=1.2)
    parser.add_argument("--glow", action="store_true")
    parser.add_argument("--tune", type=lambda text: [float(part) for part in text.split(",")])
    parser.add_argument("--preview")
    options = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(0)
    scenes = torch.from_numpy(np.load(options.scenes, mmap_mode="r")[: options.count, 0].copy())
    if options.plain is not None and Path(options.plain).exists():
        plain = torch.from_numpy(np.load(options.plain))[: options.count]
    else:
        teacher = Teacher(options.teacher)
        plain = in_groups(lambda x: teacher(x * 255) / 255, scenes)
        if options.plain is not None:
            np.save(options.plain, plain.numpy())
    pictures = plain
    if options.painting is not None:
        pictures = recoloured(pictures, options.painting, options.saturation, options.contrast)
    if options.glow:
        pictures = glowing(scenes, pictures, plain)
    if options.tune is not None:
        pictures = tuned(scenes, pictures, *options.tune)
    pictures = calmed(pictures)
    np.save(options.out, pictures.numpy())
    if options.preview is not None:
        some = range(0, min(6, len(scenes)))
        rows = [torch.cat([row[index] for index in some], 2) for row in (scenes, pictures)]
        Image.fromarray(torch.cat(rows, 1).permute(1, 2, 0).numpy()).save(options.preview)
    print(f"{len(pictures)} pictures")


if __name__ == "__main__":
    main()
