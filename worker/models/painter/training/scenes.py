"""Makes training scenes from photos: crops with varied exposure and saturation, each also as two frames of a still, noisy video after x264.

  scenes.py PHOTOS scenes.npy [--count 1200] [--size 256] [--seed 5]

Writes uint8 [count, 3, 3, size, size]: the clean crop and two frames of it as a camera and a codec would give them, channels first. The network
learns to paint all three alike, so that its pictures do not flicker.
"""
import argparse
import random
import subprocess
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
from PIL import Image

CRFS = (22, 26, 30, 34)
FRAMES = 8
# Of the still video. A keyframe lies between them: without one, the codec repeats the first picture and drops the noise.
KEPT = (3, 7)
KEYFRAME_FRAMES = 5
CROPS_PER_TASK = 40
# Crops to look at for each scene: those of one colour are left out.
TRIES = 40
SIDE_MAX = 1000


def read_photos(folder, size):
    photos = []
    for path in sorted(Path(folder).iterdir()):
        photo = Image.open(path).convert("RGB")
        scale = min(1, SIDE_MAX / min(photo.size))
        photo = photo.resize([round(side * scale) for side in photo.size], Image.LANCZOS)
        if min(photo.size) >= size:
            photos.append(photo)
    return photos


def crop(photo, size, rng):
    """A random part with another exposure, saturation or contrast; None if nothing is in it. uint8 [size, size, 3]."""
    side = int(size * (min(photo.size) / size) ** rng.random())
    x, y = rng.randrange(photo.width - side + 1), rng.randrange(photo.height - side + 1)
    part = photo.crop((x, y, x + side, y + side)).resize((size, size), Image.BICUBIC, reducing_gap=2)
    a = np.asarray(part, "f4") / 255
    if a.std() < 0.04:
        return None
    if rng.random() < 0.85:
        low, high = np.percentile(a[::4, ::4], (1, rng.choice((99, 99, 97, 95, 85, 70))))
        a = (a - low * 0.8) / max(high - low * 0.8, 0.15)
    a = np.clip(a, 0, 1) ** rng.uniform(0.7, 1.3) * np.array([rng.uniform(0.88, 1.12) for _ in range(3)], "f4")
    look = rng.random()
    if look < 0.35:
        # As saturated as a rendered film.
        grey = a.mean(2, keepdims=True)
        a = grey + (a - grey) * rng.uniform(1.2, 2.0)
    elif look < 0.55:
        # Washed out.
        a = 0.5 + (a - 0.5) * rng.uniform(0.25, 0.7) + rng.uniform(-0.15, 0.15)
    kind = rng.random()
    if kind < 0.1:
        # A large flat part: a road, a wall, the sky.
        height = rng.randrange(size // 4, size * 2 // 3)
        flat = a[height:] if rng.random() < 0.5 else a[: size - height]
        flat[:] = flat.mean((0, 1)) + rng.uniform(0.03, 0.15) * (flat - flat.mean((0, 1)))
    elif kind < 0.35:
        a = before_flat_ground(a, rng)
    pixels = (np.clip(a, 0, 1) * 255).astype("u1")
    return pixels[:, ::-1].copy() if rng.random() < 0.5 else pixels


def before_flat_ground(a, rng):
    """A part of the picture with a random outline, before a wall or on a road: ground of one colour, with a little of its own detail left."""
    size = a.shape[0]
    cells = rng.choice((3, 4, 6))
    noise = Image.fromarray(np.array([[rng.random() for _ in range(cells)] for _ in range(cells)], "f4"))
    height = np.asarray(noise.resize((size, size), Image.BICUBIC))
    edge = np.quantile(height, rng.uniform(0.35, 0.75))
    inside = np.clip((height - edge) * size / 8 + 0.5, 0, 1)[..., None]
    colour = a[rng.randrange(size), rng.randrange(size)]
    light = rng.uniform(0.1, 0.95)
    colour = light + rng.uniform(0, 0.8) * (colour - colour.mean())
    slope = np.linspace(-1, 1, size, dtype="f4")
    slope = rng.uniform(-0.08, 0.08) * slope[:, None] + rng.uniform(-0.08, 0.08) * slope[None]
    ground = colour + slope[..., None] + rng.uniform(0, 0.06) * (a - a.mean((0, 1)))
    return inside * a + (1 - inside) * ground


def through_codec(task):
    """Two frames of a still, noisy video of each crop. Returns uint8 [2, crops, size, size, 3]."""
    crops, seed = task
    rng = np.random.default_rng(seed)
    kept = np.empty((2, *crops.shape), "u1")
    size = crops.shape[1]
    for number, crf in enumerate(CRFS):
        mine = np.arange(number, len(crops), len(CRFS))
        noisy = []
        for index in mine:
            sigma = rng.choice([0.7, 1.5, 3, 5])
            for _ in range(FRAMES):
                noise = rng.standard_normal(crops[index].shape, dtype="f4") * sigma
                noisy.append(np.clip(crops[index] + noise, 0, 255).astype("u1"))
        if not noisy:
            continue
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size}x{size}", "-r", "25"]
        x264 = ["-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-crf", str(crf), "-g", str(KEYFRAME_FRAMES), "-pix_fmt", "yuv420p"]
        video = ffmpeg([*raw, "-i", "-", *x264, "-f", "matroska", "-"], np.stack(noisy).tobytes())
        pixels = ffmpeg(["-i", "-", "-threads", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], video)
        frames = np.frombuffer(pixels, "u1").reshape(len(mine), FRAMES, size, size, 3)
        for view, frame in enumerate(KEPT):
            kept[view, mine] = frames[:, frame]
    return kept


def ffmpeg(arguments, data):
    return subprocess.run(["ffmpeg", "-v", "error", *arguments], input=data, stdout=subprocess.PIPE, check=True).stdout


def make_scenes(photos, count, size, seed):
    """Returns uint8 [count, 3, 3, size, size]: each scene clean, and twice through a codec. photos: what `read_photos` returns."""
    rng = random.Random(seed)
    crops = []
    for _ in range(TRIES * count):
        found = crop(photos[rng.randrange(len(photos))], size, rng)
        if found is not None:
            crops.append(found)
        if len(crops) == count:
            break
    if len(crops) < count:
        raise SystemExit("Most parts of the photos have one colour all over.")
    crops = np.stack(crops)
    starts = range(0, len(crops), CROPS_PER_TASK)
    # Threads: ffmpeg does the work.
    with ThreadPool(2) as pool:
        views = pool.map(through_codec, [(crops[start : start + CROPS_PER_TASK], seed * 100 + start) for start in starts])
    scenes = np.stack([crops, *np.concatenate(views, axis=1)], 1).transpose(0, 1, 4, 2, 3)
    return np.ascontiguousarray(scenes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos")
    parser.add_argument("out")
    parser.add_argument("--count", type=int, default=1200)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    photos = read_photos(options.photos, options.size)
    if not photos:
        raise SystemExit(f"No photo in {options.photos} has {options.size} pixels on both sides.")
    scenes = make_scenes(photos, options.count, options.size, options.seed)
    np.save(options.out, scenes)
    difference = np.abs(scenes[:, 1].astype("i2") - scenes[:, 2]).mean()
    print(f"{len(scenes)} scenes; the two noisy views differ by {difference:.2f} of 255 on average")


if __name__ == "__main__":
    main()
