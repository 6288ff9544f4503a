"""What adaptive guidance saves against classifier-free guidance: rows of the denoiser, and seconds."""

from statistics import median
from time import perf_counter

import torch

from denoising import samplers, zoo
from denoising.denoisers import Counted
from denoising.exact import digit_gaussians
from denoising.guidance import Adaptive, ClassifierFree
from denoising.rng import Rng

THRESHOLDS = (0.99, 0.999)
STRENGTH = 3.0


def cost(guided, counted, noise, y, calls):
    """Rows that the denoiser was asked for, seconds, and the pictures."""
    times = samplers.grid(counted.schedule, calls)
    before, start = counted.items, perf_counter()
    x = samplers.sample(samplers.ddim, guided, noise, times, y=y, batch=len(noise))
    return counted.items - before, perf_counter() - start, x


def adaptive(*, batch=64, calls=20, repeats=3):
    """Both kinds of guidance in turn, so that a change of the machine's load meets both."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    models = {
        "digit-Gaussians (exact, 64 pixels)": (digit_gaussians(zoo.SCHEDULE, dtype=torch.float64), 16 * batch, (64,)),
        "fashion_unet": (zoo.denoiser("fashion_unet"), batch, (1, 32, 32)),
    }
    rows = [["denoiser", "batch", "threshold", "rows, plain", "rows, adaptive", "rows, ratio"]]
    rows[0] += ["s, plain", "s, adaptive", "seconds, ratio", "pictures differ by (rms)"]
    for name, (denoiser, n, shape) in models.items():
        counted, y = Counted(denoiser), torch.arange(n) % 10
        noise = torch.randn((n, *shape), generator=Rng(0))
        for threshold in THRESHOLDS:
            kinds = [ClassifierFree(counted, STRENGTH), Adaptive(counted, STRENGTH, threshold=threshold)]
            for guided in kinds:
                cost(guided, counted, noise[:2], y[:2], 2)  # warms up
            runs = [[cost(guided, counted, noise, y, calls) for guided in kinds] for _ in range(repeats)]
            asked = [runs[0][kind][0] for kind in (0, 1)]
            spent = [median(run[kind][1] for run in runs) for kind in (0, 1)]
            ratio = median(run[1][1] / run[0][1] for run in runs)
            apart = (runs[0][0][2] - runs[0][1][2]).square().mean().sqrt()
            row = [name, str(n), f"{threshold:g}", str(asked[0]), str(asked[1]), f"{asked[1] / asked[0]:.3f}"]
            row += [f"{spent[0]:.3f}", f"{spent[1]:.3f}", f"{ratio:.3f}", f"{apart:.3f}"]
            rows.append(row)
    torch.set_num_threads(threads)
    text = (
        f"DDIM with {calls} equal steps of t, strength {STRENGTH:g}, one thread. A row is one picture in one call of "
        "the denoiser. Adaptive guidance drops the branch without a label, picture by picture, once the cosine of the "
        f"two guesses of x_0 reaches the threshold. Medians of {repeats} pairs of runs."
    )
    return "Adaptive guidance against classifier-free guidance", text, rows
