"""Learns one more style from one picture, for `npm run model -- learn`:

  learn.py PAINTER.onnx STYLE.png SCENES ROWS.json [--minutes 5 | --steps N] [--check PICTURE.rgb PAINTED.rgb WIDTH HEIGHT]

PAINTER.onnx is the published graph. Only the new style's rows of scales and shifts learn, 1,856 numbers; everything else stays as it is. There is
no teacher and no feature network, so nothing has to be downloaded: see painting.py. Prints JSON, a line each: the progress, or why it cannot
start. Writes the rows by the names of the graph's tables.
"""
import argparse
import importlib.util
import json
import math
import os
import random
import sys
import time
from pathlib import Path

PACKAGES = {"torch": "python3-torch", "onnx": "python3-onnx", "numpy": "python3-numpy", "PIL": "python3-pil"}


def report(**fields):
    print(json.dumps(fields), flush=True)


if missing := [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]:
    report(missing=missing)
    sys.exit(1)
if sys.argv[1:] == ["--check-packages"]:
    sys.exit(0)

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from network import StyleNet, is_style_row, load_graph, shape_of, with_styles
from painting import Painting
from scenes import make_scenes, read_photos

# Of a crop in a step, and how many; of them, painted a second time from another noisy view.
SIZE, BATCH, STABLE = 144, 3, 1
# Crops of the scenes, which are made before the training starts. Of each, a random part is used.
SCENES, SCENE_SIZE = 96, 192
RATE = 4e-2
# What each loss counts. `strokes` and `palette` come from the painting; the others keep the scene, and the video steady.
WEIGHTS = dict(strokes=9.0, palette=25.0, content=0.4, light=0.8, grain=5.0, stable=6.0, calm=12.0, ground=1.5, weave=70.0)
# In flat parts, stability counts this much more.
FLAT_STABLE = 20
# The local deviation of a part that is flat, and of one that has detail.
FLAT, DETAIL = 0.014, 0.032
LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
# PyTorch and ONNX Runtime round differently.
LEVELS_MAX = 2
REPORT_SECONDS = 1.0


def has_bfloat16():
    """Whether the processor calculates with bfloat16. Without, PyTorch would take longer for it."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and any(flag in flags.read_text() for flag in ("avx512_bf16", "amx_bf16"))


BFLOAT16 = has_bfloat16()


def normal(x):
    """Each channel with the mean 0 and the variance 1."""
    variance = x.var((2, 3), unbiased=False, keepdim=True)
    return (x - x.mean((2, 3), keepdim=True)) * torch.rsqrt(variance + 0.02 * variance.mean().detach() + 1e-6)


def content_features(net, x, weights):
    """Of the painter's own encoder: they stand for the content of a picture."""
    x = F.relu(net.n1(net.e1(x * 2 - 1), weights))
    x = F.relu(net.n2(net.e2(x), weights))
    first, norm, second, other = net.res[0]
    return x + other(second(F.relu(norm(first(x), weights))), weights)


def detail(scene):
    """0 where the scene is flat, and only noise could grow into a texture, to 1 where it has detail. [batch, 1, height, width]"""
    grey = scene.mean(1, keepdim=True)

    def local(x):
        return F.avg_pool2d(F.avg_pool2d(x, 4), 5, 1, 2, count_include_pad=False)

    deviation = (local(grey * grey) - local(grey) ** 2).clamp(min=0).sqrt()
    return F.interpolate(((deviation - FLAT) / (DETAIL - FLAT)).clamp(0, 1), size=scene.shape[-2:], mode="bilinear")


def surroundings(x):
    """The mean of 24 pixels around each."""
    return F.interpolate(F.avg_pool2d(F.avg_pool2d(x, 8), 3, 1, 1, count_include_pad=False), size=x.shape[-2:], mode="bilinear")


def noisy(x):
    """White noise, blotches, the blocks of a codec, and a slight change of exposure."""
    white = torch.randn_like(x) * random.uniform(0, 0.012)
    blotches = torch.randn(len(x), 3, SIZE // 2, SIZE // 2) * random.uniform(0, 0.012)
    blocks = torch.randn(len(x), 1, SIZE // 8, SIZE // 8) * random.uniform(0, 0.008)
    noise = white + F.interpolate(blotches, size=SIZE, mode="bilinear") + F.interpolate(blocks, size=SIZE)
    return (x * random.uniform(0.98, 1.02) + random.uniform(-0.01, 0.01) + noise).clamp(0, 1)


def draw(scenes):
    """Noisy views of random parts, others of the first of them, and the clean parts, in 0..1."""
    views, others, clean = [], [], []
    margin = scenes.shape[-1] - SIZE
    for _ in range(BATCH):
        scene = scenes[random.randrange(len(scenes))]
        y, x = random.randint(0, margin), random.randint(0, margin)
        one, other = random.sample(range(3), 2)
        flipped = [3] if random.random() < 0.5 else []
        parts = scene[[one, other, 0], :, y : y + SIZE, x : x + SIZE].flip(flipped).float() / 255
        for where, part in zip((views, others, clean), parts):
            where.append(part)
    views, others, clean = (torch.stack(all) for all in (views, others, clean))
    return noisy(views), noisy(others[:STABLE]), clean


def losses(net, reference, painting, lesson, weights):
    """By name, not weighted. reference: the network as it was at the start."""
    view, other, clean = lesson
    net.canvas.start = tuple(random.randrange(net.canvas.SIDE) for _ in "yx")
    with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
        painted = net(view, weights)
        saturation = net.saturation
        with torch.no_grad():
            again = net(other, weights[:STABLE])
    painted, again = painted.float(), again.float()
    busy = detail(clean)
    change = (painted[:STABLE] - again).abs() * (1 + FLAT_STABLE * (1 - busy[:STABLE]))
    # Without the border, and with a random phase: no grid of the pooling remains.
    y, x = (4 + random.randrange(4) for _ in "yx")
    inner = np.s_[:, :, y:-4, x:-4]
    with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
        found = content_features(reference, painted[inner], weights)
        with torch.no_grad():
            wanted = content_features(reference, clean[inner], weights)
    grain = calm = 0
    small, small_clean = F.avg_pool2d(painted, 8), F.avg_pool2d(clean, 8)
    for axis in (2, 3):
        # Smooth where the scene is; and patches of colour change only where the scene does.
        flat = torch.exp(-torch.diff(clean, dim=axis).abs().mean(1, keepdim=True) / 0.02)
        grain = grain + ((0.4 + 1.6 * flat) * torch.diff(painted, dim=axis) ** 2).mean()
        edge = torch.diff(small_clean, dim=axis).abs().sum(1, keepdim=True)
        calm = calm + (torch.exp(-edge / 0.1) * torch.diff(small, dim=axis) ** 2).mean()
    ground = (1 - busy) * (painted - surroundings(painted)).abs()
    # Each place of a grid of 4 pixels has the mean of the others around it: upsampling leaves no weave.
    phases = F.avg_pool2d(F.pixel_unshuffle(painted, 4), 4).unflatten(1, (3, 16))
    light, light_clean = (normal((one * LUMA).sum(1, keepdim=True)) for one in (small, small_clean))
    return dict(
        strokes=painting.stroke_distance(painted[inner]),
        palette=painting.palette_distance(painted[inner]),
        content=F.mse_loss(normal(found.float()), normal(wanted.float())),
        light=F.mse_loss(light, light_clean),
        grain=grain,
        stable=change.mean(),
        calm=calm,
        ground=ground.mean(),
        weave=(phases - phases.mean(2, keepdim=True)).abs().mean(),
    ), saturation


def nearest_style(state, painting, scenes):
    """The style whose pictures are most like the painting: the new one starts from it."""
    net = StyleNet(**shape_of(state))
    net.load_state_dict(state)
    net.eval()
    count = len(state["n1.gamma"])
    view = draw(scenes)[0]
    distances = []
    with torch.no_grad():
        for row in range(count):
            painted = net(view, torch.eye(count)[row : row + 1])
            strokes, palette = painting.stroke_distance(painted), painting.palette_distance(painted)
            distances.append(float(WEIGHTS["strokes"] * strokes + WEIGHTS["palette"] * palette))
    return distances.index(min(distances))


def new_network(state, like):
    """The network with one more row, the only one that learns."""
    kept = len(state["n1.gamma"])
    grown = with_styles(state, 1, like)
    net = StyleNet(**shape_of(grown))
    net.load_state_dict(grown)
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(is_style_row(name))
        if is_style_row(name):
            parameter.register_hook(lambda grad: torch.cat([torch.zeros_like(grad[:kept]), grad[kept:]]))
    return net


def learning_rate(step, share):
    """Rises for 30 steps, stays for three tenths of the time, and falls along a cosine to almost nothing."""
    hold = 0.3
    fall = 1 if share < hold else 0.5 * (1 + math.cos(math.pi * (share - hold) / (1 - hold))) * 0.98 + 0.02
    return RATE * min(1, (step + 1) / 30) * fall


def train(net, painting, scenes, options):
    reference = StyleNet(**net.cfg)
    reference.load_state_dict(net.state_dict())
    reference.eval().requires_grad_(False)
    net.train()
    count = net.cfg["styles"]
    weights = torch.eye(count)[-1:].repeat(BATCH, 1)
    rows = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimiser = torch.optim.Adam(rows, lr=RATE)
    started, reported, step = time.monotonic(), 0.0, 0
    while True:
        elapsed = time.monotonic() - started
        share = elapsed / (60 * options.minutes) if options.steps is None else step / options.steps
        if elapsed - reported >= REPORT_SECONDS or share >= 1:
            left = elapsed * (1 / share - 1) if share > 0 else 0
            report(share=min(1, share), step=step, secondsLeft=max(0, left))
            reported = elapsed
        if share >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, share)
        parts, saturation = losses(net, reference, painting, draw(scenes), weights)
        if options.log and step % 25 == 0:
            print(step, round(elapsed, 1), {name: round(float(part), 4) for name, part in parts.items()}, file=sys.stderr, flush=True)
        loss = sum(WEIGHTS[name] * part for name, part in parts.items()) + 2 * saturation
        step += 1
        optimiser.zero_grad(set_to_none=True)
        # A scene without any variance gives no number.
        if not torch.isfinite(loss):
            continue
        loss.backward()
        if torch.isfinite(nn.utils.clip_grad_norm_(rows, 5.0)):
            optimiser.step()


def check(state, picture_path, painted_path, size):
    """Ends the program unless this network paints what the graph painted in its first style: then it is another network."""
    width, height = size
    picture = torch.from_numpy(np.fromfile(picture_path, "u1").reshape(1, height, width, 3)).permute(0, 3, 1, 2)
    wanted = np.fromfile(painted_path, "u1", count=width * height * 3).reshape(height, width, 3)
    net = StyleNet(**shape_of(state))
    net.load_state_dict(state)
    net.eval()
    with torch.no_grad():
        painted = net(picture.float() / 255, torch.eye(len(state["n1.gamma"]))[:1])
    found = (painted[0] * 255).round().byte().permute(1, 2, 0).numpy()
    difference = np.abs(found.astype("i2") - wanted).max()
    if difference > LEVELS_MAX:
        refuse(f"it paints something else than the network of the project (by {difference} of 255).")


def refuse(why):
    report(refused=why)
    sys.exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("painter")
    parser.add_argument("style")
    parser.add_argument("scenes")
    parser.add_argument("rows")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--check", nargs=4, metavar=("PICTURE.rgb", "PAINTED.rgb", "WIDTH", "HEIGHT"))
    parser.add_argument("--threads", type=int, default=min(8, len(os.sched_getaffinity(0))))
    parser.add_argument("--log", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(2)
    random.seed(2)
    state = load_graph(options.painter)
    try:
        StyleNet(**shape_of(state)).load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        refuse(f"its graph has other weights than the network of the project ({error}).")
    if options.check is not None:
        picture, painted, width, height = options.check
        check(state, picture, painted, (int(width), int(height)))
    painting = Painting(options.style)
    scenes = torch.from_numpy(make_scenes(read_photos(options.scenes, SCENE_SIZE), SCENES, SCENE_SIZE, 5))
    net = new_network(state, nearest_style(state, painting, scenes))
    train(net, painting, scenes, options)
    rows = {f"net.{name}": value[-1].tolist() for name, value in net.state_dict().items() if is_style_row(name)}
    Path(options.rows).write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
