"""Time of the network, and time around it: samplers, diffusers' pipeline, diffusers' network of equal size."""

from itertools import pairwise
from statistics import median
from time import perf_counter

import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel

from denoising import samplers, training, zoo
from denoising.datasets import CLASSES, Images
from denoising.denoisers import NetworkDenoiser
from denoising.networks.unet import UNet
from denoising.rng import Rng

TWO_CALLS = ("heun", "dpmpp_2s", "edm_heun")  # a step


def ours():
    return UNet().to(memory_format=torch.channels_last).eval()


def theirs():
    """diffusers' U-Net with the same widths, attention at the two lower levels and the same labels."""
    return UNet2DModel(
        sample_size=32,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(32, 64, 96),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=16,
        num_class_embeds=len(CLASSES) + 1,
    ).eval()


def clocked(net, work, repeats):
    """Medians of the seconds of `work()` and of the share spent outside `net`, and the network calls of one run."""
    spans, began = [], []
    hooks = [
        net.register_forward_pre_hook(lambda *_: began.append(perf_counter())),
        net.register_forward_hook(lambda *_: spans.append(perf_counter() - began.pop())),
    ]
    work()  # warms up
    totals, shares = [], []
    for _ in range(repeats):
        spans.clear()
        start = perf_counter()
        work()
        totals.append(perf_counter() - start)
        shares.append(1 - sum(spans) / totals[-1])
    for hook in hooks:
        hook.remove()
    return median(totals), median(shares), len(spans)


def sampling(net, name, *, batch, calls):
    """A function that draws `batch` pictures with one of our samplers, with `calls` calls or one less."""
    denoiser = NetworkDenoiser(net, zoo.SCHEDULE, num_classes=len(CLASSES))
    noise = torch.randn((batch, 1, 32, 32), generator=Rng(0))
    times = samplers.grid(zoo.SCHEDULE, max(1, calls // 2) if name in TWO_CALLS else calls)
    options = {"generator": Rng(0)} if name == "ddpm" else {}
    y = torch.arange(batch) % len(CLASSES)
    return lambda: samplers.sample(getattr(samplers, name), denoiser, noise, times, y=y, batch=batch, **options)


def piped(net, *, batch, calls):
    """A function that draws as many with diffusers' stock pipeline around the same network."""
    betas = zoo.SCHEDULE.betas(1000).tolist()
    options = {"prediction_type": "v_prediction", "timestep_spacing": "trailing", "clip_sample": False}
    pipe = DDIMPipeline(unet=net, scheduler=DDIMScheduler(trained_betas=betas, **options))
    pipe.set_progress_bar_config(disable=True)
    return lambda: pipe(batch_size=batch, num_inference_steps=calls, generator=Rng(0), output_type="np")


def overhead(*, threads, batch=64, calls=10, repeats=3):
    """What a sampler costs beyond its network calls."""
    rows = [["sampler", "threads", "network calls", "s", "ms per image-call", "overhead (aim: at most 5 %)"]]
    net = ours()
    works = {
        name: sampling(net, name, batch=batch, calls=calls)
        for name in ("ddpm", "ddim", "euler", "heun", "dpmpp_2m", "dpmpp_2s", "edm_heun")
    } | {"diffusers' `DDIMPipeline`": piped(net, batch=batch, calls=calls)}
    for count in threads:
        torch.set_num_threads(count)
        for name, work in works.items():
            seconds, share, done = clocked(net, work, repeats)
            each = 1e3 * seconds / done / batch
            rows.append([name, str(count), str(done), f"{seconds:.3f}", f"{each:.3f}", f"{100 * share:.2f} %"])
    text = (
        f"{batch} images of 32x32, one batch, the course's U-Net with fresh weights (time does not depend on them). "
        f"Overhead is the share of the time spent outside the network. Medians of {repeats} runs."
    )
    return "Samplers around the same network", text, rows


def step_seconds(net, *, batch, repeats):
    """Median seconds of a training step: draw, forward, backward, AdamW, moving average."""
    items = max(batch, 2000)
    x = torch.rand((items, 1, 32, 32), generator=Rng(0)) * 2 - 1
    data = Images(x, torch.arange(items) % len(CLASSES), CLASSES)
    loss = training.denoising_loss(data, zoo.SCHEDULE, batch=batch, seed=0)
    steps = training.fit(net, loss, steps=2 + repeats, lr=1e-4, ema=training.EMA(net, 0.999))
    stamps = []
    for _ in steps:
        stamps.append(perf_counter())
    return median(after - before for before, after in pairwise(stamps[1:]))  # the first two steps warm up


def throughput(*, threads, batch=64, calls=10, repeats=3):
    """Images per second of our network and of diffusers' in the same sampler and the same training loop."""
    nets = {"ours": ours(), "diffusers": theirs()}
    millions = {name: sum(weight.numel() for weight in net.parameters()) / 1e6 for name, net in nets.items()}
    rows = [["what", "threads", *(f"{name}, images/s" for name in nets), "ratio (aim: at least 2.5)"]]
    for count in threads:
        torch.set_num_threads(count)
        for what in (f"sampling, {calls} calls", "training"):
            speeds = []
            for net in nets.values():
                if what == "training":
                    seconds = step_seconds(net, batch=batch, repeats=2 * repeats)
                else:
                    seconds = clocked(net.eval(), sampling(net, "ddim", batch=batch, calls=calls), repeats)[0]
                speeds.append(batch / seconds)
            rows.append([what, str(count), *(f"{speed:.1f}" for speed in speeds), f"{speeds[0] / speeds[1]:.2f}"])
    text = (
        f"`networks.unet.UNet` ({millions['ours']:.2f} M parameters, folds 2x2 pixels into channels, channels_last) "
        f"against diffusers' `UNet2DModel` ({millions['diffusers']:.2f} M, full resolution, its own layout): widths "
        f"(32, 64, 96), one layer a block, attention at the two lower levels, batches of {batch}. Medians of {repeats} "
        f"runs and of {2 * repeats} training steps."
    )
    return "Networks of equal size", text, rows
