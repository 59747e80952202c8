"""Teaches the network its styles: it sees a noisy scene and has to give the teacher's picture of the clean one.

  train.py CHECKPOINT.pt scenes.npy OUT.pt --features squeezenet1_1.pth --teach STYLE=PICTURES.npy [--teach …] [--minutes 20]
           [--rate 3e-3] [--threads 2] [--only-new] [--like STYLE] [--picture FILE --preview FILE.png]

CHECKPOINT may be `new`. Styles that the checkpoint does not have are added, each as one more row; with --only-new, everything else stays as it is,
which takes minutes. Prints a line of JSON every 50 steps: mean losses, and milliseconds for a step. Saves every five minutes.
"""
import argparse
import json
import math
import random
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from network import StyleNet, is_style_row, load_checkpoint, with_styles
from PIL import Image

SIZE = 160
BATCH = 3
# Of the batch: painted a second time from another noisy view.
STABLE = 1
# What each loss counts.
WEIGHTS = dict(colour=2.6, features=3.5, strokes=2.4, ground=2.4, palette=8.0, stable=16.0)
# In flat parts, stability counts this much more.
FLAT_STABLE = 12
# The local deviation of a part that is flat, and of one that has detail.
FLAT, DETAIL = 0.012, 0.03
# The colour of flat ground is compared in cells of so many pixels: strokes are smaller.
GROUND_CELL = 24
REPORT_STEPS = 50
SAVE_MINUTES = 5
TAPS = (1, 4, 7)
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


class Features:
    """The first layers of SqueezeNet 1.1, trained on ImageNet: what the strokes of two pictures are compared by."""

    def __init__(self, path):
        model = torchvision.models.squeezenet1_1(weights=None)
        state = load_checkpoint(path)
        model.load_state_dict({name: value.float() for name, value in state.items()})
        self.layers = model.features[: TAPS[-1] + 1].eval().requires_grad_(False).to(memory_format=torch.channels_last)
        for module in self.layers.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False

    def __call__(self, x):
        x = ((x - MEAN) / STD).contiguous(memory_format=torch.channels_last)
        taken = []
        with torch.autocast("cpu", torch.bfloat16):
            for index, layer in enumerate(self.layers):
                x = layer(x)
                if index in TAPS:
                    taken.append(x.float())
        return taken


def covariance(features, weight):
    """weight: how much each place counts, [batch, 1, height, width]."""
    flat, weight = features.flatten(2), weight.flatten(2) + 1e-4
    weight = weight / weight.sum(2, keepdim=True)
    flat = flat - (flat * weight).sum(2, keepdim=True)
    # Without OpenBLAS, Debian's torch multiplies float32 matrices ten times slower.
    return ((flat * weight).bfloat16() @ flat.transpose(1, 2).bfloat16()).float()


def unlikeness(pairs, weights):
    """Of the covariances of two pictures' features: of their strokes, wherever these are. For each picture of the batch."""
    total = 0
    for (one, other), weight in zip(pairs, weights):
        a, b = covariance(one, weight), covariance(other, weight)
        total = total + ((a - b) ** 2).sum((1, 2)) / ((b**2).sum((1, 2)) + 1e-6)
    return total / len(weights)


def palette_distance(one, other):
    """The sliced Wasserstein distance of the colours of two pictures, of pixels and of patches."""
    axes = torch.cat([torch.randn(6, 3), torch.tensor([[1.0, 1, 1], [1, -1, 0], [1, 1, -2]])])
    axes = axes / axes.norm(dim=1, keepdim=True)
    total = 0
    for patch in (3, 9):
        a, b = (F.avg_pool2d(picture, patch).flatten(2) for picture in (one, other))
        some = torch.randperm(a.shape[2])[:900]
        total = total + ((axes @ a[:, :, some]).sort(2)[0] - (axes @ b[:, :, some]).sort(2)[0]).abs().mean()
    return total / 2


def noisy(x):
    """White noise, blotches, the blocks of a codec, and a slight change of exposure."""
    white = torch.randn_like(x) * random.uniform(0, 0.012)
    blotches = torch.randn(len(x), 3, SIZE // 2, SIZE // 2) * random.uniform(0, 0.012)
    side = random.randint(SIZE // 10, SIZE // 5)
    blocks = torch.randn(len(x), 1, side, side) * random.uniform(0, 0.012)
    noise = white + F.interpolate(blotches, size=SIZE, mode="bilinear")
    noise = noise + F.interpolate(blocks, size=SIZE, mode=random.choice(("nearest", "bilinear")))
    return (x * random.uniform(0.98, 1.02) + random.uniform(-0.01, 0.01) + noise).clamp(0, 1)


def ground_colour(picture, flat):
    """The colour of flat ground: the teacher's there, averaged so widely that no rim of an object remains. In cells; flat: as in `losses`."""
    tone, share = F.avg_pool2d(picture * flat, GROUND_CELL), F.avg_pool2d(flat, GROUND_CELL)

    def wide(x):
        return F.avg_pool2d(x, 5, 1, 2, count_include_pad=False)

    tone = wide(tone) / (wide(share) + 1e-3)
    grey = tone.mean(1, keepdim=True)
    return (grey + 1.3 * (tone - grey)).clamp(0.02, 0.98), share


def detail(scene):
    """0 where the scene is flat, and only noise could grow into a texture, to 1 where it has detail. [batch, 1, height, width]"""
    grey = scene.mean(1, keepdim=True)

    def local(x):
        return F.avg_pool2d(F.avg_pool2d(x, 4), 3, 1, 1, count_include_pad=False)

    deviation = (local(grey * grey) - local(grey) ** 2).clamp(min=0).sqrt()
    return F.interpolate(((deviation - FLAT) / (DETAIL - FLAT)).clamp(0, 1), size=scene.shape[-2:], mode="bilinear")


class Lessons:
    """Random pairs of a noisy scene and a teacher's picture."""

    def __init__(self, scenes, pictures):
        self.scenes = torch.from_numpy(np.load(scenes, mmap_mode="c"))
        self.pictures = [torch.from_numpy(np.load(path)) for path in pictures]
        self.margin = self.scenes.shape[-1] - SIZE

    def draw(self):
        """Two noisy views in 0..1, the pictures, the index of the style of each, and where the scenes have detail."""
        views, others, pictures, styles, clean = [], [], [], [], []
        for _ in range(BATCH):
            style = random.randrange(len(self.pictures))
            index = random.randrange(len(self.pictures[style]))
            # Away from the edge, where the teacher's padding shows.
            y, x = (random.randint(14, self.margin - 14) for _ in "yx")
            part = np.s_[:, y : y + SIZE, x : x + SIZE]
            views.append(self.scenes[index, random.randrange(3)][part])
            others.append(self.scenes[index, random.randrange(3)][part])
            pictures.append(self.pictures[style][index][part])
            clean.append(self.scenes[index, 0][part])
            styles.append(style)
        view, other, picture, scene = (torch.stack(all).float() / 255 for all in (views, others, pictures, clean))
        return noisy(view), noisy(other[:STABLE]), picture, torch.tensor(styles), detail(scene)


def losses(net, features, lesson, rows, total):
    """By name, not weighted. rows: the row of the network for each style that is taught."""
    view, other, picture, styles, busy = lesson
    weights = F.one_hot(rows[styles], total).float()
    net.canvas.start = tuple(random.randrange(net.canvas.SIDE) for _ in "yx")
    with torch.autocast("cpu", torch.bfloat16):
        painted = net(view, weights)
        saturation = net.saturation
        with torch.no_grad():
            # A fixed target: painting both with gradients makes pictures pale.
            again = net(other, weights[:STABLE])
    change = (painted[:STABLE] - again).abs() * (1 + FLAT_STABLE * (1 - busy[:STABLE]))
    # Without the border, and with a random phase: no grid of the pooling remains.
    y, x = (4 + random.randrange(4) for _ in "yx")
    inner = np.s_[:, :, y:-4, x:-4]
    painted, picture, busy = painted[inner], picture[inner], busy[inner]
    flat = 1 - busy
    colour = (busy * (0.5 * (painted - picture).abs() + coarse(painted - picture))).mean()
    wanted, share = ground_colour(picture, flat)
    found = F.avg_pool2d(painted * flat, GROUND_CELL)
    colour = colour + 1.5 * (found - wanted * share).abs().mean()
    found = features(painted)
    with torch.no_grad():
        wanted = features(picture)
    pairs = list(zip(found, wanted))
    busy, flat = ([F.adaptive_avg_pool2d(x, a.shape[-2:]) for a in found] for x in (busy, flat))
    likeness = sum((x * (a - b) ** 2).mean() / (b**2).mean() for x, (a, b) in zip(busy, pairs)) / len(pairs)
    strokes = unlikeness(pairs, [torch.ones_like(x) for x in busy]).mean()
    # Where the ground is flat, strokes have no place of their own: only their kind counts.
    ground = (unlikeness(pairs, flat) * (2 * flat[0].mean((1, 2, 3))).clamp(max=1)).mean()
    palette = palette_distance(painted, picture)
    return dict(colour=colour, features=likeness, strokes=strokes, ground=ground, palette=palette, stable=change.mean()), saturation


def coarse(difference):
    """What is left of it in cells of four pixels."""
    return F.interpolate(F.avg_pool2d(difference, 4).abs(), size=difference.shape[-2:])


def learning_rate(options, step, share):
    """Rises for 50 steps, stays for a tenth of the time, and falls along a cosine to almost nothing."""
    warm = min(1, (step + 1) / 50)
    hold = 0.1
    fall = 1 if share < hold else 0.5 * (1 + math.cos(math.pi * (share - hold) / (1 - hold))) * 0.98 + 0.02
    return options.rate * warm * fall


def open_network(options, names):
    """Returns the network, the names of all styles, and the row of each style that is taught."""
    if options.checkpoint == "new":
        net, styles = StyleNet(len(names)), list(names)
        net.train()
        return net, styles, torch.arange(len(names))
    checkpoint = load_checkpoint(options.checkpoint)
    styles, state = list(checkpoint["styles"]), {name: value.float() for name, value in checkpoint["net"].items()}
    fresh = [name for name in names if name not in styles]
    if options.like is not None and options.like not in styles:
        raise SystemExit(f"The checkpoint has no style {options.like}. It has: {', '.join(styles)}.")
    state = with_styles(state, len(fresh), None if options.like is None else styles.index(options.like))
    net = StyleNet(**{**checkpoint["cfg"], "styles": len(styles) + len(fresh)})
    net.load_state_dict(state)
    net.train()
    if options.only_new:
        if not fresh:
            raise SystemExit("--only-new needs a style that the checkpoint does not have.")
        freeze(net, len(styles))
    return net, styles + fresh, torch.tensor([(styles + fresh).index(name) for name in names])


def freeze(net, kept):
    """Leaves only the rows from `kept` on to learn."""
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(is_style_row(name))
        if is_style_row(name):
            parameter.register_hook(lambda grad: torch.cat([torch.zeros_like(grad[:kept]), grad[kept:]]))


def save(net, styles, rows, options):
    torch.save(dict(net=net.state_dict(), cfg=net.cfg, styles=styles), options.out)
    if options.picture is not None and options.preview is not None:
        save_preview(net, rows, len(styles), options.picture, options.preview)


def save_preview(net, rows, total, picture, out):
    image = Image.open(picture).convert("RGB")
    image.thumbnail((640, 480))
    x = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255
    net.eval()
    with torch.no_grad():
        painted = [net(x, torch.eye(total)[row : row + 1])[0] for row in rows]
    net.train()
    tiles = [x[0], *painted]
    tiles += [torch.zeros_like(x[0])] * (-len(tiles) % 3)
    sheet = torch.cat([torch.cat(tiles[start : start + 3], 2) for start in range(0, len(tiles), 3)], 1).clamp(0, 1)
    Image.fromarray((sheet * 255).round().byte().permute(1, 2, 0).numpy()).save(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("scenes")
    parser.add_argument("out")
    parser.add_argument("--features", required=True)
    parser.add_argument("--teach", action="append", required=True, metavar="STYLE=PICTURES")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--only-new", action="store_true")
    parser.add_argument("--like")
    parser.add_argument("--picture")
    parser.add_argument("--preview")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(2)
    random.seed(2)
    taught = dict(text.split("=", 1) for text in options.teach)
    net, styles, rows = open_network(options, list(taught))
    lessons = Lessons(options.scenes, taught.values())
    if options.checkpoint == "new":
        first = lessons.scenes[:24, 0, :, :SIZE, :SIZE].float() / 255
        even = torch.full((BATCH, len(styles)), 1 / len(styles))
        net.rescale([(first[start : start + BATCH], even) for start in range(0, len(first), BATCH)])
    features = Features(options.features)
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=options.rate)
    started = reported = saved = time.monotonic()
    sums, step, skipped = dict.fromkeys(WEIGHTS, 0.0), 0, 0
    while (share := (time.monotonic() - started) / (60 * options.minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(options, step, share)
        parts, saturation = losses(net, features, lessons.draw(), rows, len(styles))
        loss = sum(WEIGHTS[name] * part for name, part in parts.items()) + 2 * saturation
        optimiser.zero_grad(set_to_none=True)
        # A scene without any variance gives no number.
        if not torch.isfinite(loss):
            skipped += 1
            continue
        loss.backward()
        if not torch.isfinite(nn.utils.clip_grad_norm_(parameters, 2.0)):
            skipped += 1
            continue
        optimiser.step()
        step += 1
        for name, part in parts.items():
            sums[name] += float(part)
        if step % REPORT_STEPS == 0:
            means = {name: round(value / REPORT_STEPS, 4) for name, value in sums.items()}
            milliseconds = round((time.monotonic() - reported) * 1000 / REPORT_STEPS)
            print(json.dumps(dict(step=step, share=round(share, 3), ms=milliseconds, **means)), flush=True)
            sums, reported = dict.fromkeys(WEIGHTS, 0.0), time.monotonic()
            if time.monotonic() - saved > 60 * SAVE_MINUTES:
                save(net, styles, rows, options)
                saved = time.monotonic()
    save(net, styles, rows, options)
    print(json.dumps(dict(steps=step, skipped=skipped, styles=styles)), flush=True)


if __name__ == "__main__":
    main()
