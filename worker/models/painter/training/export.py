"""Makes the graph of a checkpoint, with its manifest:

  export.py CHECKPOINT.pt OUT.onnx OUT.json [--version 3]

`frames` uint8 [batch, height, width, 3], `style` float32 [1 or batch, styles] -> `stylized` uint8 like `frames`. `make-steady.ts` makes the published
model of both. The titles of the styles are in styles.json.
"""
import argparse
import hashlib
import json
from pathlib import Path

import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
from network import StyleNet, load_checkpoint

OPSET = 13


class Painter(nn.Module):
    """Bytes in, bytes out: the shuffle of the sub-pixels and the change of layout are one transpose of bytes."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, frames, style):
        height, width, pad = frames.shape[1], frames.shape[2], StyleNet.PAD
        x = frames.permute(0, 3, 1, 2).float() / 255
        x = F.pad(x, (pad, pad + (-width) % 4, pad, pad + (-height) % 4), mode="replicate")
        y = (self.net.half(x, style) * 255).round().to(torch.uint8)
        batch, _, rows, columns = y.shape
        y = y.view(batch, 3, 2, 2, rows, columns).permute(0, 4, 2, 5, 3, 1).reshape(batch, rows * 2, columns * 2, 3)
        return y[:, pad : pad + height, pad : pad + width]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("graph")
    parser.add_argument("manifest")
    parser.add_argument("--version", default="3")
    options = parser.parse_args()
    checkpoint = load_checkpoint(options.checkpoint)
    net = StyleNet(**checkpoint["cfg"])
    net.load_state_dict({name: value.float() for name, value in checkpoint["net"].items()})
    net.eval()
    styles = checkpoint["styles"]
    example = torch.randint(0, 255, (2, 66, 91, 3), dtype=torch.uint8)
    free = {0: "batch", 1: "height", 2: "width"}
    torch.onnx.export(
        Painter(net),
        (example, torch.eye(len(styles))[:1]),
        options.graph,
        opset_version=OPSET,
        input_names=["frames", "style"],
        output_names=["stylized"],
        dynamic_axes={"frames": free, "style": {0: "style_batch"}, "stylized": free},
    )
    onnx.checker.check_model(onnx.load(options.graph))
    titles = json.loads((Path(__file__).parent / "styles.json").read_text())
    pixels = dict(type="uint8", layout="NHWC", channels="rgb")
    manifest = dict(
        name="painter",
        version=options.version,
        file="painter.onnx",
        sha256=hashlib.sha256(Path(options.graph).read_bytes()).hexdigest(),
        input=dict(name="frames", **pixels, size="any"),
        output=dict(name="stylized", **pixels, scale=1),
        parameters=dict(style=dict(type="float32", values=[dict(id=name, **titles.get(name, {})) for name in styles])),
    )
    Path(options.manifest).write_text(json.dumps(manifest, indent=2) + "\n")
    print(f"{len(styles)} styles, {Path(options.graph).stat().st_size} bytes")


if __name__ == "__main__":
    main()
