"""Shipped checkpoints: they load, they are what their cards say, and damage is named."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from denoising import datasets, metrics, samplers, scenes, zoo
from denoising.denoisers import add_noise
from denoising.rng import Rng
from denoising.schedules import Cosine
from denoising.zoo import __main__ as command
from denoising.zoo import recipes, scene_nets, ship, tables

NAMES = ["fashion_clf", "fashion_clf_guide", "fashion_clf_noisy", "fashion_judge", "fashion_unet", "fashion_unet_early"]
NAMES += ["contours_1_blind", "contours_3_blind", "discs_blind"]
NAMES += ["fashion_unet_unlabelled", "fashion_bigan"]
NAMES += ["fashion_student", "scenes_cnn", "scenes_t2i"]
NAMES += ["scenes_dual", "scenes_dual_bag", "scenes_dual_partners"]
NAMES += [f"fashion_blind_{n}{half}" for n in (10, 100, 1000, 10_000) for half in "ab"]
UNETS, CLASSIFIERS, BLIND = (
    [name for name in zoo.names() if zoo.card(name)["network"] == network and name != "scenes_cnn"]
    for network in ("UNet", "ConvNet", "BiasFreeUNet")
)
TEST = datasets.load("fashion-T")


def test_the_names():
    assert zoo.names() == sorted(NAMES) and set(NAMES) <= set(recipes.RECIPES)


@pytest.mark.parametrize("name", zoo.names())
def test_a_checkpoint_is_what_its_card_says(name):
    card, recipe, net = zoo.card(name), recipes.RECIPES[name], zoo.load(name)
    assert card["network"] == type(net).__name__ == recipe.network
    for key in ("data", "batch", "lr", "seed", "ema", "weight_decay"):
        assert card[key] == getattr(recipe, key), key
    assert card["steps"] == recipe.last_step and card["images"] == recipe.last_step * recipe.batch
    assert card["options"] == dict(recipe.options) and all(net.config[key] == value for key, value in recipe.options)
    assert {"wall_seconds", "device", "fast_loss", "n"} <= set(card)
    folder = datasets.data_root() / "checkpoints" / name
    assert sorted(path.name for path in folder.iterdir()) == sorted([*card["files"], "README.md"])
    assert f"zoo train {name}" in (folder / "README.md").read_text()
    with safe_open(folder / "diffusion_pytorch_model.safetensors", "pt") as stored:
        kinds = {stored.get_slice(key).get_dtype() for key in stored.keys()}  # noqa: SIM118
    assert kinds <= {"F16", "I64"}
    assert not net.training and {value.dtype for value in net.parameters()} == {torch.float32}
    assert not any(value.requires_grad for value in net.parameters())


@pytest.mark.parametrize("name", UNETS)
def test_loss_by_noise_quartile_is_as_recorded(name):
    got = ship.noise_quartiles(zoo.denoiser(name), TEST)
    assert got == pytest.approx(zoo.card(name)["v_loss_per_noise_quartile"], rel=0.01)


@torch.inference_mode()
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_accuracy_is_as_recorded(name):
    net, index = zoo.load(name), torch.arange(500) * 10
    x, y = TEST.x[index], TEST.y[index]
    recorded = zoo.card(name)["accuracy_on_T"]
    assert list(recorded) == (["t=0.1", "t=0.3", "t=0.5", "t=0.7"] if name == "fashion_clf_noisy" else ["clean"])
    for key, want in recorded.items():
        if key == "clean":
            guess = net(x)
            assert want > 0.9
        else:
            t = torch.full((500,), float(key[2:]))
            guess = net(add_noise(Cosine(), x, t, torch.randn(x.shape, generator=Rng(5))), t)
        accuracy = float((guess.argmax(1) == y).double().mean())
        assert abs(accuracy - want) < 4 * (want * (1 - want) / 500) ** 0.5, key  # 4 standard errors


def test_the_judge_of_scenes_is_as_recorded():
    for split in ("test", "comp"):
        x, _ = scenes.batch(split, range(300))
        got = (scene_nets.judged(x) == scene_nets.true_attributes(split, range(300))).all(1).double().mean()
        want = zoo.card("scenes_cnn")[f"accuracy_on_{split}"]["all"]
        assert abs(got - want) < 4 * (want * (1 - want) / 300) ** 0.5
    assert zoo.card("scenes_cnn")["accuracy_on_test"]["all"] > 0.9
    with pytest.raises(ValueError, match="net: expected a classifier of garments"):
        zoo.classify(x, net="scenes_cnn")


def test_the_distance_of_scenes_grows_with_damage():
    x, _ = scenes.batch("test", range(500))
    noise = torch.randn(x.shape, generator=Rng(0))
    levels = [scene_nets.fd(x + sigma * noise) for sigma in (0.0, 0.1, 0.3, 0.6)]
    assert levels == sorted(levels) and levels[-1] > 10 * levels[0]


@pytest.mark.parametrize("name", BLIND)
def test_error_of_a_blind_denoiser_is_as_recorded(name):
    card = zoo.card(name)
    assert ship.evaluate(zoo.load(name), card["data"])["test_mse"] == pytest.approx(card["test_mse"], rel=0.01)


def test_pairs_of_blind_denoisers_share_no_picture():
    for n in (10, 100, 1000, 10_000):
        a, b = (recipes.RECIPES[f"fashion_blind_{n}{half}"] for half in "ab")
        (first, count), (second, other) = a.subset, b.subset
        assert count == other == n and first + n <= second and second + n <= 20_000 and a.seed != b.seed
        assert replace(a, subset=None, seed=0) == replace(b, subset=None, seed=0)


# of the blind ones one on stored and one on procedural pictures stand for all
FAST = [name for name in zoo.names() if name not in BLIND and name != "fashion_unet_early"]


@pytest.mark.parametrize("name", [*FAST, "fashion_blind_10000b", "discs_blind"])
def test_the_fast_recipe_gives_the_recorded_loss(name, capsys):
    assert command.train(name, fast=True, runs=Path("unused")) == 0
    assert f"recorded {zoo.card(name)['fast_loss']}" in capsys.readouterr().out


def test_the_early_checkpoint_is_the_same_run_stopped_early():
    early, whole = (recipes.RECIPES[name] for name in ("fashion_unet_early", "fashion_unet"))
    assert replace(early, stop=None) == whole and early.last_step * early.batch == 39_936
    assert early.fast() == whole.fast()
    if {"fashion_unet", "fashion_unet_early"} <= set(zoo.names()):
        assert zoo.card("fashion_unet_early")["fast_loss"] == zoo.card("fashion_unet")["fast_loss"]


def test_a_fast_recipe_notices_another_loss(monkeypatch, capsys):
    monkeypatch.setattr(recipes, "run", lambda name, **options: (None, [zoo.card(name)["fast_loss"] * 1.05] * 20))
    assert command.train("fashion_clf", fast=True, runs=Path("unused")) == 1
    capsys.readouterr()


def test_reference_statistics_belong_to_the_feature_network():
    data = datasets.load("fashion-G")
    few = torch.cat([torch.nonzero(data.y == label)[:200, 0] for label in range(10)])[::20]
    stored = zoo.reference()
    assert torch.allclose(zoo.reference_features()[::20], zoo.features(data.x[few]), atol=1e-2)
    assert stored.n == 20_000 and stored.mean.shape == (64,) and stored.cov.shape == (64, 64)
    part = metrics.frechet_distance(zoo.features(data.x[::20]), stored)
    wrong = metrics.frechet_distance(zoo.features(data.x[::20].flip(2)), stored)
    assert 0 <= part < 0.2 < 5 * part < wrong


def test_features_and_labels():
    x = TEST.x[:6]
    assert zoo.features(x).shape == (6, 64) and zoo.features(x).dtype == torch.float32
    assert torch.equal(zoo.features(3 * x), zoo.features((3 * x).clamp(-1, 1)))
    assert torch.allclose(zoo.features(x, batch=2), zoo.features(x), atol=1e-4)
    if "fashion_judge" in zoo.names():
        index = torch.arange(0, 5000, 25)
        assert float((zoo.classify(TEST.x[index]) == TEST.y[index]).double().mean()) > 0.85


# A stock diffusers pipeline --------------------------------


def stock(pipe, steps):
    return torch.from_numpy(pipe(batch_size=2, generator=Rng(3), num_inference_steps=steps, output_type="np").images)[
        ..., 0
    ]


def ours(steps):
    x, net = torch.randn((2, 1, 32, 32), generator=Rng(3)), zoo.denoiser("fashion_unet")
    with torch.inference_mode():
        end = samplers.last(samplers.ddim(net, x, samplers.grid(net.schedule, steps), y=torch.full((2,), 10)))
    return (end[:, 0] / 2 + 0.5).clamp(0, 1).float()


@pytest.mark.parametrize("steps", [2, 4])
def test_the_stock_pipeline_samples_what_our_ddim_samples(steps, capfd):
    got = stock(zoo.pipeline("fashion_unet"), steps)
    assert (got - ours(steps)).abs().max() < 2e-3 and got.std() > 0.1
    assert "%" not in capfd.readouterr().err  # no progress bar


def test_an_exported_pipeline_is_read_back_by_diffusers(tmp_path, capfd):
    from diffusers import DDIMPipeline

    folder = zoo.export("fashion_unet", tmp_path / "pipe")
    pipe = DDIMPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    assert type(pipe.unet).__name__ == "UNet" and (stock(pipe, 2) - ours(2)).abs().max() < 2e-3
    capfd.readouterr()


def test_a_classifier_is_no_denoiser():
    for call in (zoo.denoiser, zoo.pipeline):
        with pytest.raises(
            ValueError, match=r"^name: expected a U-Net that is told the time, 'fashion_clf' is a ConvNet"
        ):
            call("fashion_clf")


# Damage --------------------------------


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A folder `data/` with two classifiers and the reference, and the library looking at it."""
    real = datasets.data_root()
    for name in ("fashion_clf", "fashion_judge"):
        shutil.copytree(real / "checkpoints" / name, tmp_path / "checkpoints" / name)
    shutil.copytree(real / "tables", tmp_path / "tables")
    shutil.copy(real / "MANIFEST.json", tmp_path)
    monkeypatch.setattr(datasets, "data_root", lambda: tmp_path)
    return tmp_path


def flipped(data):
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


@pytest.mark.parametrize("file", ["config.json", "diffusion_pytorch_model.safetensors"])
@pytest.mark.parametrize("damage", [lambda data: data[:-1], flipped, lambda data: b""])
def test_a_damaged_checkpoint_is_named_with_its_remedy(copy, file, damage):
    path = copy / "checkpoints" / "fashion_clf" / file
    path.write_bytes(damage(path.read_bytes()))
    remedy = f"restore it with `git checkout -- data/checkpoints/fashion_clf/{file}`"
    with pytest.raises(ValueError, match=rf"fashion_clf.{file}: expected sha256 .*{remedy}"):
        zoo.load("fashion_clf")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"fashion_clf.{file}: file is missing; {remedy}"):
        zoo.load("fashion_clf")
    zoo.load("fashion_judge")


def test_swapped_checkpoints_are_named(copy):
    for path in (copy / "checkpoints" / "fashion_judge").iterdir():
        shutil.copy(path, copy / "checkpoints" / "fashion_clf" / path.name)
    with pytest.raises(ValueError, match=r"fashion_clf.config.json: expected sha256"):
        zoo.load("fashion_clf")


def test_a_damaged_reference_is_named(copy):
    path = copy / "tables/fashion_reference.safetensors"
    path.write_bytes(flipped(path.read_bytes()))
    for call in (zoo.reference, zoo.reference_features):
        with pytest.raises(ValueError, match=r"fashion_reference.safetensors: expected sha256 .*`git checkout"):
            call()
    entries = json.loads((copy / "MANIFEST.json").read_text())
    del entries["tables"]
    (copy / "MANIFEST.json").write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=r"MANIFEST.json: expected an entry 'tables/fashion_reference"):
        zoo.reference()


def test_an_unknown_name_gets_a_hint():
    for call in (zoo.load, zoo.card, zoo.denoiser, zoo.pipeline, recipes.run):
        with pytest.raises(
            ValueError, match=r"^name: expected one of .*; got 'fashion_cfl' \(did you mean 'fashion_clf'"
        ):
            call("fashion_cfl")


# Tables and starts --------------------------------


def test_a_table_is_made_stored_and_read_back(copy, monkeypatch, capsys):
    made = {"a": torch.arange(6.0).reshape(2, 3).T, "n": torch.tensor(3)}
    monkeypatch.setitem(tables.TABLES, "small", lambda: made)
    assert run(monkeypatch, "table", "small") == 0
    path = copy / "tables" / "small.safetensors"
    assert capsys.readouterr().out == f"{path}\n"
    stored = zoo.table("small")
    assert sorted(stored) == ["a", "n"] and all(torch.equal(stored[key], made[key]) for key in made)
    entry = json.loads((copy / "MANIFEST.json").read_text())["tables"]["tables/small.safetensors"]
    assert entry["bytes"] == path.stat().st_size and entry["made_by"] == "python -m denoising.zoo table small"
    assert zoo.reference().n == 20_000 and not list(copy.rglob("*.part"))  # the other table is as it was
    path.write_bytes(flipped(path.read_bytes()))
    with pytest.raises(ValueError, match=r"small.safetensors: expected sha256 .*`git checkout -- data/tables/small"):
        zoo.table("small")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"small.safetensors: file is missing"):
        zoo.table("small")
    with pytest.raises(ValueError, match=r"^name: expected one of .*did you mean 'fashion_reference'"):
        tables.make("fashion_referenc")
    with pytest.raises(ValueError, match=r"MANIFEST.json: expected an entry 'tables/none.safetensors"):
        zoo.table("none")


def test_every_table_is_stored_by_its_command():
    for name in tables.TABLES:
        entry = datasets.recorded("tables", f"tables/{name}.safetensors")
        assert entry["made_by"] == f"python -m denoising.zoo table {name}" and zoo.table(name)


def test_every_objective_is_known_and_fits_its_network():
    fits = {"denoise": "UNet", "classify": "ConvNet", "blind": "BiasFreeUNet", "contrast": "DualEncoder"}
    for recipe in recipes.RECIPES.values():
        assert recipe.objective in {*recipes.OBJECTIVES, *recipes.DISTILLATIONS, recipes.GAME}
        assert recipe.network == fits.get(recipe.objective, recipe.network)
        assert recipe.start is None or recipe.start in recipes.RECIPES


def test_a_recipe_starts_from_given_weights_and_leaves_the_random_state_alone():
    aware = (("noise_aware", True),)
    recipe = recipes.Recipe("ConvNet", "fashion-C", 10, 5, 1e-3, 9, options=aware, objective="classify")
    source, before = zoo.load("fashion_clf"), torch.get_rng_state()
    own, net = recipe.build().state_dict(), recipe.build(source)
    assert torch.equal(before, torch.get_rng_state())
    given = source.state_dict()
    assert set(given) < set(own) == set(net.state_dict())  # the part that is told the time is new
    for key, value in net.state_dict().items():
        assert torch.equal(value, given.get(key, own[key])), key
    assert not torch.equal(own["head.weight"], given["head.weight"])
    with torch.no_grad():
        net.head.weight += 1  # a copy: the source keeps its own
    assert torch.equal(given["head.weight"], zoo.load("fashion_clf").head.weight)
    assert all(weight.requires_grad for weight in net.parameters())


# The command --------------------------------


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["zoo", *map(str, arguments)])
    return command.main()


def test_verify_counts_what_is_wrong(copy, monkeypatch, capsys):
    entries = json.loads((copy / "MANIFEST.json").read_text())
    entries["checkpoints"] = {name: entries["checkpoints"][name] for name in ("fashion_clf", "fashion_judge")}
    entries["data"] = {}
    (copy / "MANIFEST.json").write_text(json.dumps(entries))
    assert run(monkeypatch, "verify") == 0
    (copy / "checkpoints" / "fashion_judge" / "config.json").unlink()
    assert run(monkeypatch, "verify") == 1
    said = capsys.readouterr()
    assert "fashion_judge" in said.err and "`git checkout -- data/checkpoints/fashion_judge/config.json`" in said.err


def test_the_command_reports_errors_in_one_line(monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, "export", "fashion_clf", tmp_path) == 1
    assert capsys.readouterr().err.startswith("error: name: expected a U-Net")
    assert run(monkeypatch, "list") == 0
    assert capsys.readouterr().out.count("\n") == len(zoo.names())


@pytest.mark.parametrize(
    ("content", "seconds"), [(None, 0), ("", 0), ("50,0.1,1e-3,12\n", 12), ("50,0.1,1e-3,12\n100,0.", 12)]
)
def test_the_time_of_an_interrupted_run_counts(tmp_path, content, seconds):
    log = tmp_path / "log.csv"
    if content is not None:
        log.write_text(content)
    assert command._elapsed(log) == seconds


def test_writing_ends_in_a_checkpoint_that_loads(copy, monkeypatch):
    net = recipes.RECIPES["fashion_clf"].build()
    ship.write("fashion_clf", net, zoo.card("fashion_clf") | {"seed": 9})
    again = zoo.load("fashion_clf")
    assert zoo.card("fashion_clf")["seed"] == 9
    assert all(
        torch.equal(a.float(), b) for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True)
    )
    assert not list(copy.rglob("*.part"))


def test_a_full_disk_leaves_the_old_checkpoint(copy, monkeypatch):
    real = Path.write_bytes

    def full(path, data):
        real(path, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="the old file is untouched"):
        ship.write("fashion_clf", recipes.RECIPES["fashion_clf"].build(), zoo.card("fashion_clf"))
    monkeypatch.undo()
    monkeypatch.setattr(datasets, "data_root", lambda: copy)
    zoo.load("fashion_clf")
    assert not list(copy.rglob("*.part"))
