"""The painter's network: an encoder, residual blocks and a decoder, with conditional instance normalisation.

Johnson et al. 2016 (the shape), Dumoulin et al. 2017 (one row of scales and shifts for each style). The first convolution halves both sides,
and only the last tensor of 12 channels is shuffled to the full resolution, which makes it fast on a CPU.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

# Activations have a variance of about 1 (see `StyleNet.rescale`), so the noise of a flat frame is amplified three times a layer at most.
EPS = 0.1


class ConditionalNorm(nn.Module):
    """Instance normalisation whose scale and shift are sums of the styles' rows, weighted as the caller says."""

    def __init__(self, channels, styles):
        super().__init__()
        self.gamma = nn.Parameter(1 + 0.05 * torch.randn(styles, channels))
        self.beta = nn.Parameter(0.05 * torch.randn(styles, channels))

    def forward(self, x, weights):
        """x: [batch, channels, height, width]; weights: [batch or 1, styles], rows that sum to 1."""
        gamma, beta = weights @ self.gamma, weights @ self.beta
        if self.training:
            # The same numbers from one fused kernel: a batch normalisation over batch x channels.
            n, c, h, w = x.shape
            flat = x.reshape(1, n * c, h, w)
            return F.batch_norm(flat, None, None, gamma.flatten(), beta.flatten(), True, 0.0, EPS).view(n, c, h, w)
        # For export: two reductions and one affine step are fast in ONNX Runtime.
        gamma, beta = gamma[:, :, None, None], beta[:, :, None, None]
        mean = x.mean((2, 3), keepdim=True)
        variance = ((x * x).mean((2, 3), keepdim=True) - mean * mean).clamp(min=0)
        scale = gamma * torch.rsqrt(variance + EPS)
        return x * scale + (beta - mean * scale)


def convolution(inputs, outputs, kernel, stride=1):
    # With zero padding, the network paints coloured frames along the border.
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode="replicate")


class Canvas(nn.Module):
    """Fixed noise, a quarter as wide and high as the picture, which each style mixes into its features. Strokes grow from it where the frame is
    flat: from the noise of the camera, they would be other ones in each frame."""

    # Of the noise, which repeats from there on: 384 pixels of the picture.
    SIDE = 96
    CHANNELS = 4

    def __init__(self, channels, styles):
        super().__init__()
        self.register_buffer("noise", torch.randn(self.CHANNELS, self.SIDE, self.SIDE, generator=torch.Generator().manual_seed(1)))
        self.gamma = nn.Parameter(0.1 * torch.randn(styles, channels * self.CHANNELS))
        # Where the noise starts. Training moves it, so that it learns from all of it.
        self.start = (0, 0)

    def forward(self, weights, height, width):
        """Returns [batch or 1, channels, height, width]."""
        noise = self.noise.roll(self.start, (1, 2)) if self.training else self.noise
        noise = noise.repeat(1, height // self.SIDE + 1, width // self.SIDE + 1)[:, :height, :width]
        channels = self.gamma.shape[1] // self.CHANNELS
        mix = (weights @ self.gamma).view(-1, channels, self.CHANNELS)
        return (mix @ noise.reshape(self.CHANNELS, -1)).view(-1, channels, height, width)


class StyleNet(nn.Module):
    # Pixels that are added around the input and cut from the output: they hide what the border does.
    PAD = 8

    def __init__(self, styles, width=(32, 32, 64), blocks=5):
        super().__init__()
        last, half, trunk = width
        self.cfg = dict(styles=styles, width=tuple(width), blocks=blocks)
        self.e1, self.n1 = convolution(3, half, 5, 2), ConditionalNorm(half, styles)
        self.e2, self.n2 = convolution(half, trunk, 3, 2), ConditionalNorm(trunk, styles)
        self.canvas = Canvas(trunk, styles)
        self.res = nn.ModuleList(
            nn.ModuleList(
                [
                    convolution(trunk, trunk, 3),
                    ConditionalNorm(trunk, styles),
                    convolution(trunk, trunk, 3),
                    ConditionalNorm(trunk, styles),
                ]
            )
            for _ in range(blocks)
        )
        self.u1, self.n3 = convolution(trunk, half, 3), ConditionalNorm(half, styles)
        self.u2, self.n4 = convolution(half, last, 3), ConditionalNorm(last, styles)
        self.out = convolution(last, 12, 3)
        with torch.no_grad():
            # The four sub-pixels start equal: no checkerboard at the start.
            self.out.weight.copy_(self.out.weight[::4].repeat_interleave(4, 0) * 0.5)
            self.out.bias.zero_()

    def half(self, x, weights):
        """x: [batch, 3, height, width] in 0..1, sides that are multiples of 4. Returns [batch, 12, height / 2, width / 2] in 0..1."""
        x = F.relu(self.n1(self.e1(x * 2 - 1), weights))
        x = self.e2(x)
        x = F.relu(self.n2(x, weights) + self.canvas(weights, x.shape[2], x.shape[3]))
        for first, norm, second, other in self.res:
            x = x + other(second(F.relu(norm(first(x), weights))), weights)
        x = F.relu(self.n3(self.u1(F.interpolate(x, scale_factor=2.0, mode="nearest")), weights))
        x = F.relu(self.n4(self.u2(x), weights))
        with torch.autocast("cpu", enabled=False):
            z = self.out(x.float())
        if self.training:
            # Keeps tanh out of its flat part, where blobs stay white.
            self.saturation = F.relu(z.abs() - 2.2).pow(2).mean()
        return torch.tanh(z) * 0.5 + 0.5

    def forward(self, x, weights):
        """x: [batch, 3, height, width] in 0..1, any size. Returns the same."""
        height, width, pad = x.shape[2], x.shape[3], self.PAD
        x = F.pad(x, (pad, pad + (-width) % 4, pad, pad + (-height) % 4), mode="replicate")
        return F.pixel_shuffle(self.half(x, weights), 2)[:, :, pad : pad + height, pad : pad + width]

    def normalised(self):
        """The convolutions that a normalisation follows, in order."""
        yield self.e1
        yield self.e2
        for first, _, second, _ in self.res:
            yield first
            yield second
        yield self.u1
        yield self.u2

    @torch.no_grad()
    def rescale(self, batches):
        """Gives the channels of every normalised convolution the variance 1 on these batches. The normalisation undoes it, but EPS then
        means the same everywhere. batches: a list of (x, weights)."""
        self.eval()
        seen = {}

        def remember(module, _, output):
            seen.setdefault(module, []).append(output.var((2, 3), unbiased=False).mean(0))

        hooks = [module.register_forward_hook(remember) for module in self.normalised()]
        # Later layers see the new scale of earlier ones through EPS.
        for _ in range(3):
            seen.clear()
            for x, weights in batches:
                self(x, weights)
            for module in self.normalised():
                variance = torch.stack(seen[module]).mean(0)
                factor = torch.rsqrt(variance + 0.02 * variance.mean())
                module.weight *= factor[:, None, None, None]
                module.bias *= factor
        for hook in hooks:
            hook.remove()
        self.train()


def load_checkpoint(path):
    """What `train.py` has saved: a dictionary with `net`, `cfg` and `styles`. Only load files that you trust: they may run code."""
    return torch.load(path, map_location="cpu")


def load_graph(path):
    """The weights of a graph that `export.py` has made, also of the published one: a state as in a checkpoint."""
    # Only here: training from a checkpoint does without it.
    import onnx
    from onnx import numpy_helper

    weights = onnx.load(path).graph.initializer
    named = {weight.name: torch.from_numpy(numpy_helper.to_array(weight).copy()) for weight in weights}
    return {name[len("net.") :]: value for name, value in named.items() if name.startswith("net.")}


def shape_of(state):
    """The arguments of `StyleNet` for a state."""
    width = (state["out.weight"].shape[1], state["e1.weight"].shape[0], state["e2.weight"].shape[0])
    blocks = len({name.split(".")[1] for name in state if name.startswith("res.")})
    return dict(styles=len(state["n1.gamma"]), width=width, blocks=blocks)


def is_style_row(name):
    """Whether a parameter of the state has a row for each style."""
    return name.endswith(("gamma", "beta"))


def with_styles(state, count, like=None):
    """The state of a network with `count` more styles. They start like an existing one, or like the mean of all."""
    grown = dict(state)
    for name, value in state.items():
        if is_style_row(name):
            start = value.mean(0) if like is None else value[like]
            grown[name] = torch.cat([value, start[None].repeat(count, 1)])
    return grown
