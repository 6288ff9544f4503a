"""The text-conditional U-Net: shapes, words, padding, attention maps, files, errors."""

import json

import pytest
import torch

from denoising import scenes
from denoising.networks import text_unet
from denoising.networks.text_unet import Context, CrossAttention, TextUNet
from denoising.rng import Rng


def build(**options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TextUNet(**options).eval()


def stirred(**options):
    small = {"sample_size": 8, "channels": (8, 16), "emb": 16, "heads": 2, "width": 8}
    net = build(**(small | options))
    with torch.no_grad():  # a fresh network answers 0 to everything
        for seed, value in enumerate(net.parameters()):
            value.add_(0.2 * torch.randn(value.shape, generator=Rng(seed)))
    return net


X = torch.randn((3, 3, 8, 8), generator=Rng(0))
T = torch.tensor([0.0, 300.5, 999.0])
WORDS = torch.stack([scenes.encode(text) for text in ("a red circle", "a star above a ring on dark", "a blue shape")])


@torch.no_grad()
def test_size_and_a_fresh_network():
    net = build()
    count = sum(value.numel() for value in net.parameters())
    assert 1.3e6 < count < 1.7e6 and 5e4 < sum(value.numel() for value in net.text.parameters()) < 7e4
    x = torch.randn((2, 3, 32, 32), generator=Rng(0))
    assert torch.equal(net(x, 500, WORDS[:2]).sample, torch.zeros_like(x))
    assert tuple(map(scenes.VOCABULARY.index, ("<pad>", "<null>"))) == (text_unet.PAD, text_unet.NULL)
    assert net.config.vocabulary == len(scenes.VOCABULARY) and net.config.length == scenes.LENGTH


@torch.no_grad()
def test_cross_attention_starts_as_the_identity():
    net = build()
    context = net.context(WORDS)
    for name, module in net.named_modules():
        if isinstance(module, CrossAttention):
            h = torch.randn((3, module.to_q.in_channels, 4, 4), generator=Rng(1))
            assert torch.equal(module(h, context), h), name
            assert torch.equal(module(h, context, {}, "x"), h), name
    assert sum(isinstance(module, CrossAttention) for module in net.modules()) == 5


@torch.no_grad()
def test_words_order_and_time_matter():
    net = stirred()
    v = net(X, T, WORDS).sample
    assert v.shape == X.shape and torch.equal(net(X, T, WORDS, return_dict=False)[0], v)
    one = torch.cat([net(X[i : i + 1], T[i : i + 1], WORDS[i : i + 1]).sample for i in range(3)])
    assert torch.allclose(v, one, atol=1e-5)
    assert (net(X, T, WORDS.roll(1, 0)).sample - v).abs().amax((1, 2, 3)).min() > 1e-4
    swapped = WORDS.clone()
    swapped[1, [1, 4]] = WORDS[1, [4, 1]]  # a ring above a star
    assert (net(X, T, swapped).sample - v)[1].abs().max() > 1e-5
    assert (net(X, T + 50, WORDS).sample - v).abs().max() > 1e-4
    assert torch.equal(net(X, 500, WORDS).sample, net(X, torch.full((3,), 500.0), WORDS).sample)


@torch.no_grad()
def test_padding_does_not_matter():
    net = stirred()
    v = net(X, T, WORDS).sample
    short = WORDS[:, :8]
    assert torch.allclose(net(X, T, short).sample, v, atol=1e-5)
    vectors = net.text.table(WORDS)
    mask = WORDS != 0
    assert torch.allclose(net(X, T, net.context(vectors, mask)).sample, v, atol=1e-5)
    noise = torch.where(mask[..., None], vectors, 9.0)
    assert torch.allclose(net(X, T, net.context(noise, mask)).sample, v, atol=1e-5)
    store = {}
    assert torch.allclose(net(X, T, net.context(noise, mask), attn_store=store).sample, v, atol=1e-5)
    assert (net(X, T, vectors).sample - v).abs().max() > 1e-4  # unmasked, it would


@torch.no_grad()
def test_no_caption_is_the_null_caption():
    net = stirred()
    null = scenes.null_caption().expand(3, -1)
    assert torch.allclose(net(X, T).sample, net(X, T, null).sample, atol=1e-5)
    assert (net(X, T).sample - net(X, T, WORDS).sample).abs().amax((1, 2, 3)).min() > 1e-4


@torch.no_grad()
def test_attention_maps():
    net, store = stirred(), {}
    v = net(X, T, WORDS, attn_store=store).sample
    assert torch.allclose(v, net(X, T, WORDS).sample, atol=1e-5)
    sides = {"down16": 4, "down8": 2, "mid8": 2, "up8": 2, "up16": 4}  # an eighth of the usual images' sides
    assert {name: tuple(maps.shape) for name, maps in store.items()} == {
        name: (3, 2, side, side, 12) for name, side in sides.items()
    }
    for maps in store.values():
        assert torch.allclose(maps.sum(-1), torch.ones(()), atol=1e-5)
        assert (maps.permute(0, 4, 1, 2, 3)[WORDS == 0] == 0).all()


@torch.no_grad()
def test_parts_add_up_and_a_context_can_be_kept():
    net = stirred()
    context = net.context(WORDS)
    e = net.cond(T)
    h, skips = net.down(X, e, context)
    v = net.up(net.mid(h, e, context), skips, e, context)
    assert torch.equal(v, net(X, T, WORDS).sample) and torch.equal(v, net(X, T, context).sample)
    assert h.shape == (3, 16, 2, 2) and [tuple(one.shape[1:]) for one in skips] == [(8, 4, 4), (16, 2, 2)]


def test_every_parameter_learns_and_so_does_a_free_vector():
    net = stirred().train()
    vectors = net.text.table(WORDS).detach().requires_grad_()
    (net(X, T, WORDS).sample.square().mean() + net(X, T, vectors).sample.square().mean()).backward()
    assert [
        name for name, value in net.named_parameters() if value.grad is None or not value.grad.abs().max() > 0
    ] == []
    assert vectors.grad.abs().amax(-1).min() > 0
    same = net.eval()(X, T, WORDS).sample
    assert torch.allclose(same, net.train()(X, T, WORDS).sample, atol=1e-5)


def test_files_bring_the_same_network_back(tmp_path):
    net = stirred()
    net.save_pretrained(tmp_path)
    again = TextUNet.from_pretrained(tmp_path, local_files_only=True)
    ours = [json.dumps({k: one.config[k] for k in one.config if k[0] != "_"}, sort_keys=True) for one in (net, again)]
    assert ours[0] == ours[1]
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True))


def test_bad_input_is_named():
    net = stirred()
    with pytest.raises(ValueError, match=r"^sample: expected \(B, 3, 8, 8\), got \(3, 3, 8, 4\)"):
        net(X[..., :4], 1, WORDS)
    with pytest.raises(ValueError, match=r"^timestep: expected a number or shape \(3,\)"):
        net(X, T[:2], WORDS)
    with pytest.raises(ValueError, match=r"^captions: expected one for each of 3 images, got 2"):
        net(X, T, WORDS[:2])
    with pytest.raises(ValueError, match=r"^captions: expected at least one word in each"):
        net(X, T, torch.zeros_like(WORDS))
    with pytest.raises(ValueError, match=r"^captions: expected ids in 0..63"):
        net(X, T, WORDS + 60)
    for captions in (torch.ones(3, 13).long(), torch.ones(3).long(), torch.ones(3, 12), torch.ones(3, 12, 9)):
        with pytest.raises(ValueError, match=r"^captions: expected \(B, L"):
            net(X, T, captions)
    for captions in (WORDS.int(), "a red circle"):
        with pytest.raises(ValueError, match=r"^captions: expected int64 ids or float vectors, got"):
            net(X, T, captions)
    for mask in (torch.ones(3, 12), torch.ones(3, 11).bool()):
        with pytest.raises(ValueError, match=r"^mask: expected bool of shape \(3, 12\)"):
            net.context(WORDS, mask)
    assert isinstance(net.context(WORDS), Context)
    for options in ({"sample_size": 30}, {"channels": (8,)}, {"channels": (8, 12)}):
        with pytest.raises(ValueError, match=f"^{next(iter(options))}: expected"):
            stirred(**options)


@torch.no_grad()
@pytest.mark.parametrize("off", ["nothing", "positions", "neighbours", "both", "all"])
def test_order_is_known_from_positions_and_from_neighbours(off):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        text = text_unet.TextEncoder(ordered=off != "all").eval()
    if off in ("positions", "both"):
        text.positions.zero_()
    if off in ("neighbours", "both"):
        text.near.weight.zero_()
    ids = torch.stack(
        [scenes.encode("a red circle above a blue star"), scenes.encode("a blue circle above a red star")]
    )
    words, mask = text(text.table(ids), ids != text_unet.PAD)
    means = (words * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    # what a circle is told of its colour
    assert ((means[0] - means[1]).abs().max() < 1e-5) == (off in ("both", "all"))


def test_every_pixel_is_told_its_row_and_column():
    rows, columns = text_unet._places(torch.zeros(2, 12, 4, 3))[1]
    assert torch.equal(columns, torch.tensor([-1.0, 0.0, 1.0]).expand(4, 3))
    assert torch.allclose(rows, torch.tensor([-1, -1 / 3, 1 / 3, 1])[:, None].expand(4, 3))
